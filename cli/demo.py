"""``karyo demo``: three simulated cases through every service, compared with the truth."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from cli.connections import open_services
from cli.console import fail, out
from cli.run import print_outcome, process
from db.schema import State
from reports.folder import claim_folder
from training.simulation import write_dataset

CASES = {"DEMO-1": "46,XX", "DEMO-2": "47,XY,+21", "DEMO-3": "mos 47,XX,+8[1]/46,XX[1]"}
SEED = 47


def demo(
    report: Annotated[Path, typer.Option("--out", help="Folder for the report.")] = Path("karyo-report"),
    cells: Annotated[int, typer.Option(min=2, help="Images per case.")] = 6,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = SEED,
) -> None:
    """Simulate three small cases, karyotype them with every service, and compare with the truth.

    The third case is a mosaic. A few cells may not be enough to call it; then the result says what they show. Exits
    with 1 if a karyotype differs from the truth, or if another case is not called.
    """
    with claim_folder(report), tempfile.TemporaryDirectory(prefix="karyo-demo-") as folder:
        images = Path(folder)
        truth = _read(write_dataset(images, CASES, cells_per_case=cells, seed=seed).truth, "karyotype")
        with open_services(workers=1, with_pipeline=True) as services:
            outcome = process(services, str(images / "manifest.csv"), out=report)
    differs = _print_comparison(truth, report / "cases.csv")
    out.print(f"report  {(report / 'report.html').resolve()}", soft_wrap=True)
    done = sum(image.state == State.DONE for image in outcome.images)
    if differs or done < max(cells * len(CASES), len(outcome.images)):
        print_outcome(outcome)
        fail("the result is not what was simulated")


def _print_comparison(truths: Mapping[str, str], table: Path) -> bool:
    """Print truth and result of every case; return whether one differs."""
    karyotypes, reasons = _read(table, "iscn"), _read(table, "why")
    width = max(map(len, truths.values()))
    differs = False
    for accession, truth in truths.items():
        result = karyotypes.get(accession, "")
        is_open = not result and "/" in truth
        differs |= result != truth and not is_open
        mark = "[yellow]not called[/]" if is_open else "[green]agrees[/]" if result == truth else "[bold red]DIFFERS[/]"
        out.print(
            f"{accession}   truth {truth:<{width}}   result {result or 'not resolved':<{width}}   {mark}",
            soft_wrap=True,
        )
        if result != truth:
            why = reasons.get(accession, "").removeprefix("'")  # a table guards a text that begins with + or -
            out.print(f"         {why}", soft_wrap=True)
    return differs


def _read(table: Path, column: str) -> dict[str, str]:
    """Return a column of a table by case."""
    with table.open(newline="") as stream:
        return {row["case"]: row[column] for row in csv.DictReader(stream)}
