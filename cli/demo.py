"""``karyo demo``: two simulated cases through every service, compared with the truth."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cli.connections import open_services
from cli.console import fail, out
from cli.run import print_outcome, process
from db.schema import State
from reports.folder import claim_folder
from training.simulation import write_dataset

CASES = {"DEMO-1": "46,XX", "DEMO-2": "47,XY,+21"}
SEED = 46


def demo(
    report: Annotated[Path, typer.Option("--out", help="Folder for the report.")] = Path("karyo-report"),
    cells: Annotated[int, typer.Option(min=1, help="Images per case.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = SEED,
) -> None:
    """Simulate two small cases, karyotype them with every service, and compare with the truth.

    Exits with 1 if a karyotype differs from the truth.
    """
    with claim_folder(report), tempfile.TemporaryDirectory(prefix="karyo-demo-") as folder:
        images = Path(folder)
        write_dataset(images, CASES, cells_per_case=cells, seed=seed)
        with open_services(workers=1, with_pipeline=True) as services:
            outcome = process(services, str(images / "manifest.csv"), case=None, out=report)
    differs = _print_comparison(report / "cases.csv")
    out.print(f"report  {(report / 'report.html').resolve()}", soft_wrap=True)
    done = sum(image.state == State.DONE for image in outcome.images)
    if differs or done < max(cells * len(CASES), len(outcome.images)):
        print_outcome(outcome)
        fail("the result is not what was simulated")


def _print_comparison(table: Path) -> bool:
    """Print truth and result of every case; return whether one differs."""
    with table.open(newline="") as stream:
        results = {row["case"]: row["iscn"] for row in csv.DictReader(stream)}
    differs = False
    for accession, truth in CASES.items():
        result = results.get(accession, "")
        differs |= result != truth
        mark = "[green]agrees[/]" if result == truth else "[bold red]DIFFERS[/]"
        out.print(f"{accession}   truth {truth:<12} result {result or 'not resolved':<12} {mark}")
    return differs
