"""``karyo simulate``: metaphase images with known truth."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.console import err, fail, progress_bar
from training.simulation import write_dataset
from training.simulation.case_plan import parse_mix


class Contrast(StrEnum):
    """Contrast of the simulated microscope."""

    BRIGHT_FIELD = "bright_field"
    FLUORESCENCE = "fluorescence"


def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    *,
    karyotype: Annotated[
        list[str] | None, typer.Option(help="ISCN karyotype of a case, also a mosaic with [n]; repeat for more cases.")
    ] = None,
    cells: Annotated[int, typer.Option(min=1, help="Images per case.")] = 5,
    seed: Annotated[int, typer.Option(help="The same seed draws the same images.")] = 1,
    contrast: Annotated[Contrast, typer.Option()] = Contrast.BRIGHT_FIELD,
    quality: Annotated[
        str | None,
        typer.Option(help="Shares of qualities, such as good=60,crowded=25,poor=10,burst=5.", show_default=False),
    ] = None,
) -> None:
    """Draw metaphase images of any numerical karyotype from ideograms, with their exact truth.

    A mosaic such as `mos 47,XX,+8[12]/46,XX[8]` gives the shares of its cell lines. A cell of quality `burst` lacks
    chromosomes. With a mosaic or a mix of qualities, truth.csv has a row for each image.
    """
    karyotypes = karyotype or ["46,XX"]
    cases = {f"SIM-{number:03d}": text for number, text in enumerate(karyotypes, start=1)}
    with progress_bar() as progress:
        task = progress.add_task("drawing", total=len(cases) * cells, note="")

        def update(done: int, total: int, name: str) -> None:
            progress.update(task, completed=done, total=total, note=name)

        try:
            mix = None if quality is None else parse_mix(quality)
            write_dataset(
                out, cases, cells_per_case=cells, seed=seed, contrast=contrast.value, mix=mix, progress=update
            )
        except ValueError as problem:
            fail(str(problem))
    err.print(f"{len(cases) * cells} images, manifest.csv, truth.csv and coco.json in [bold]{out}[/]")
