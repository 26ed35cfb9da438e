"""``karyo demo``: two simulated cases through the whole stack, and the truth beside what came out."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cli.connections import services
from cli.console import fail, out
from cli.run import process, tell
from db.schema import State
from training.simulation import write_dataset

CASES = {"DEMO-1": "46,XX", "DEMO-2": "47,XY,+21"}
SEED = 46


def demo(
    report: Annotated[Path, typer.Option("--out", help="Folder for the report.")] = Path("karyo-report"),
    cells: Annotated[int, typer.Option(min=1, help="Images per case.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = SEED,
) -> None:
    """Simulate two small cases, karyotype them through the whole stack, and compare with the truth.

    Leaves with 1 if a karyotype differs from the truth.
    """
    with tempfile.TemporaryDirectory(prefix="karyo-demo-") as folder:
        images = Path(folder)
        write_dataset(images, CASES, cells_per_case=cells, seed=seed)
        with services(workers=1) as found:
            outcome = process(found, str(images / "manifest.csv"), case=None, out=report)
    with (report / "cases.csv").open(newline="") as stream:
        called = {row["case"]: row["iscn"] for row in csv.DictReader(stream)}
    differs = False
    for accession, truth in CASES.items():
        result = called.get(accession, "")
        differs |= result != truth
        mark = "[green]agrees[/]" if result == truth else "[bold red]DIFFERS[/]"
        out.print(f"{accession}   truth {truth:<12} result {result or 'none':<12} {mark}")
    out.print(f"report  {(report / 'report.html').resolve()}", soft_wrap=True)
    done = [image for image in outcome.images if image.state == State.DONE]
    if differs or len(done) < max(cells * len(CASES), len(outcome.images)):
        tell(outcome)
        fail("the result is not what was simulated")
