"""``karyo train``: training of the networks.

Torch is an extra, so each command imports its training itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cli.console import err, fail
from ingest.sources.folder import image_files
from models.registry import ModelUnavailable

train_app = typer.Typer(help="Train the networks (needs the `train` extra).", no_args_is_help=True)


@train_app.command()
def router(
    config: Annotated[
        Path | None, typer.Option(exists=True, help="TOML file; default: the shipped router.toml.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and the exported ONNX file.")] = Path("runs/router"),
) -> None:
    """Train the contour router (single, cluster, chromosome with noise, noise)."""
    with _problems_as_sentences():
        from training.router.train import train  # noqa: PLC0415

        train(config, out)


@train_app.command()
def embedder(
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            help="TOML file; default: the shipped adaptation.toml with --photographs, else embedder.toml.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for data, checkpoints and results.")] = Path("runs/embedder"),
    fold: Annotated[int | None, typer.Option(help="Hold out this part of the cases, and validate on it.")] = None,
    without: Annotated[str | None, typer.Option(help="Hold out this report as a whole, and validate on it.")] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--photographs",
            exists=True,
            help="Adapt to the metaphase images in this folder; they need no labels.",
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(exists=True, help="ONNX file to train on from; --photographs adapts the shipped one by default."),
    ] = None,
) -> None:
    """Train the embedder on karyotype reports, or adapt it to the images of a laboratory.

    The network predicts the class and the polarity of a single chromosome.
    """
    if images and (fold is not None or without):
        fail("--fold and --without hold reports out: they do not go with --photographs")
    if start and (fold is not None or without):
        fail("--start has perhaps learned from what --fold and --without hold out: train from the beginning")
    with _problems_as_sentences():
        from training.embedder.self_training import adapt  # noqa: PLC0415
        from training.embedder.train import train  # noqa: PLC0415

        if images:
            adapted = adapt(config, out, _files(images), err.print, start)
            err.print(f"the adapted network in [bold]{adapted}[/], its card in [bold]{adapted.with_suffix('.md')}[/]")
        else:
            train(config, out, err.print, fold=fold, without=without, start=start)


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
        typer.Option(exists=True, help="Checkpoint or ONNX file of an earlier training, for the initial weights."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--photographs",
            exists=True,
            help="Train on the metaphase images in this folder too; they need no outlines.",
        ),
    ] = None,
) -> None:
    """Train the segmenter on fields simulated from karyotype reports.

    The network predicts the masks of chromosomes, also of overlapping ones.
    """
    with _problems_as_sentences():
        from training.segmenter.train import train  # noqa: PLC0415

        train(config, out, err.print, start=start, images=_files(images) if images else [])


@train_app.command()
def mean(
    exported: Annotated[list[Path], typer.Argument(exists=True, help="ONNX files, each with its card next to it.")],
    out: Annotated[Path, typer.Option(help="ONNX file to write.")] = Path("mean.onnx"),
) -> None:
    """Average the weights of several trainings that started from the same weights.

    The mean is mostly better than each of them.
    """
    with _problems_as_sentences():
        from training.common.weight_averaging import write_mean  # noqa: PLC0415

        write_mean(exported, out)
    err.print(f"the mean of {len(exported)} trainings in [bold]{out}[/], its card in [bold]{out.with_suffix('.md')}[/]")


@contextmanager
def _problems_as_sentences() -> Iterator[None]:
    """Exit with a sentence if the extra is missing or the input of a training is unusable."""
    try:
        yield
    except ModuleNotFoundError as problem:
        fail(f"training needs {problem.name}: install the `train` extra (make train-setup)")
    except (ValueError, ModelUnavailable) as problem:
        fail(str(problem))


def _files(folder: Path) -> list[Path]:
    """Return the image files in a folder; exit if there are none."""
    files = [file.path for file in image_files(folder)]
    if not files:
        fail(f"no image files in {folder}")
    return files
