"""``karyo simulate`` and ``karyo train``: make images with known truth, and learn from them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.console import err, fail, progress_bar
from ingest.sources.folder import image_files
from models.registry import ModelUnavailable
from training.simulation import write_dataset

train_app = typer.Typer(help="Train the networks (needs the `train` extra).", no_args_is_help=True)


class Contrast(StrEnum):
    """How the simulated microscope shows stain."""

    BRIGHT_FIELD = "bright_field"
    FLUORESCENCE = "fluorescence"


def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    karyotype: Annotated[
        list[str] | None, typer.Option(help="ISCN karyotype of a case; repeat for more cases.")
    ] = None,
    cells: Annotated[int, typer.Option(min=1, help="Images per case.")] = 5,
    seed: Annotated[int, typer.Option(help="The same seed draws the same images.")] = 1,
    contrast: Annotated[Contrast, typer.Option()] = Contrast.BRIGHT_FIELD,
) -> None:
    """Draw metaphase images of any numerical karyotype from ideograms, with exact truth beside them."""
    karyotypes = karyotype or ["46,XX"]
    cases = {f"SIM-{number:03d}": text for number, text in enumerate(karyotypes, start=1)}
    with progress_bar() as progress:
        task = progress.add_task("drawing", total=len(cases) * cells, note="")
        try:
            write_dataset(
                out, cases, cells_per_case=cells, seed=seed, contrast=contrast.value,
                progress=lambda done, total, name: progress.update(task, completed=done, total=total, note=name),
            )  # fmt: skip
        except ValueError as problem:
            fail(str(problem))
    err.print(f"{len(cases) * cells} images, manifest.csv, truth.csv and coco.json in [bold]{out}[/]")


@train_app.command()
def router(
    config: Annotated[
        Path | None, typer.Option(exists=True, help="TOML file; default: the shipped router.toml.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and the exported ONNX file.")] = Path("runs/router"),
) -> None:
    """Train the contour router (single, cluster, chromosome with noise, noise)."""
    try:
        from training.router.train import train  # noqa: PLC0415 - torch is an extra
    except ModuleNotFoundError as problem:
        fail(f"training needs {problem.name}: install the `train` extra (make train-setup)")
    try:
        train(config, out)
    except ValueError as problem:
        fail(str(problem))


@train_app.command()
def embedder(
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            exists=True, help="TOML file; default: the shipped adaptation.toml with images, else embedder.toml."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for data, checkpoints and results.")] = Path("runs/embedder"),
    fold: Annotated[int | None, typer.Option(help="Hold this part of the cases out, and measure on it.")] = None,
    without: Annotated[str | None, typer.Option(help="Hold this report out as a whole, and measure on it.")] = None,
    photographs: Annotated[
        Path | None,
        typer.Option(exists=True, help="Adapt to the metaphases in this folder, of which nobody has named one."),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(exists=True, help="ONNX file to adapt; by default the network that karyoflow comes with."),
    ] = None,
) -> None:
    """Train the embedding network (class and polarity of single chromosomes) on karyotype reports, or adapt it to the
    photographs of a laboratory."""
    try:
        from training.embedder.self_training import adapt  # noqa: PLC0415 - torch is an extra
        from training.embedder.train import train  # noqa: PLC0415
    except ModuleNotFoundError as problem:
        fail(f"training needs {problem.name}: install the `train` extra (make train-setup)")
    if photographs and (fold is not None or without):
        fail("--fold and --without hold reports out: they do not go with --photographs")
    if start and not photographs:
        fail("--start is what adapts to --photographs: give these too")
    try:
        if photographs:
            files = _images(photographs)
            adapted = adapt(config, out, files, log=err.print, start=start)
            err.print(f"the adapted network in [bold]{adapted}[/], its card in [bold]{adapted.with_suffix('.md')}[/]")
        else:
            train(config, out, log=err.print, fold=fold, without=without)
    except (ValueError, ModelUnavailable) as problem:
        fail(str(problem))


@train_app.command()
def segmenter(
    config: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            help="TOML file; default: the shipped photographs.toml with --photographs, else segmenter.toml.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and results.")] = Path("runs/segmenter"),
    start: Annotated[
        Path | None,
        typer.Option(exists=True, help="Checkpoint or ONNX file of an earlier training, to begin with its weights."),
    ] = None,
    photographs: Annotated[
        Path | None,
        typer.Option(exists=True, help="Learn from the metaphases in this folder too, in which nobody has drawn."),
    ] = None,
) -> None:
    """Train the segmenter (masks of chromosomes, overlapping ones too) on fields simulated from karyotype reports."""
    try:
        from training.segmenter.train import train  # noqa: PLC0415 - torch is an extra
    except ModuleNotFoundError as problem:
        fail(f"training needs {problem.name}: install the `train` extra (make train-setup)")
    files = _images(photographs) if photographs else []
    try:
        train(config, out, log=err.print, start=start, photographs=files)
    except ValueError as problem:
        fail(str(problem))


@train_app.command()
def mean(
    exported: Annotated[list[Path], typer.Argument(exists=True, help="ONNX files, each beside its card.")],
    out: Annotated[Path, typer.Option(help="ONNX file to write.")] = Path("mean.onnx"),
) -> None:
    """Average the weights of several trainings that began with the same ones: mostly better than each."""
    try:
        from training.common.weight_averaging import write_mean  # noqa: PLC0415 - onnx is an extra
    except ModuleNotFoundError as problem:
        fail(f"averaging needs {problem.name}: install the `train` extra (make train-setup)")
    try:
        write_mean(exported, out)
    except (ValueError, ModelUnavailable) as problem:
        fail(str(problem))
    err.print(f"the mean of {len(exported)} trainings in [bold]{out}[/], its card in [bold]{out.with_suffix('.md')}[/]")


def _images(folder: Path) -> list[Path]:
    """The image files in a folder; the command ends if it has none."""
    files = [found.path for found in image_files(folder)]
    if not files:
        fail(f"no image files in {folder}")
    return files
