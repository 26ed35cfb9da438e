"""``karyo evaluate``: results compared with a truth, as JSON and as figures."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.console import err, fail, print_json, print_table
from training.evaluation.classification import data
from training.evaluation.classification.report import report as classes_report
from training.evaluation.instances.by_domain import domain_table
from training.evaluation.instances.matching import load
from training.evaluation.instances.report import report as instances_report

evaluate_app = typer.Typer(help="Compare results with a truth; every metric as JSON.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]
Resamples = Annotated[int, typer.Option(min=0, help="Bootstrap resamples for confidence intervals; 0 for none.")]


@evaluate_app.command()
def coco(  # noqa: PLR0917 - options are keywords on the command line
    ground_truth: File,
    results: File,
    min_score: Annotated[float, typer.Option(help="Count only results of at least this score.")] = 0.0,
    by: Annotated[
        str, typer.Option(metavar="FIELD", help="Also by a field of the truth's images, such as slide; with a table.")
    ] = "",
    resamples: Resamples = 500,
    details: Annotated[bool, typer.Option(help="Add a row per image, worst first.")] = False,
    figures: Annotated[
        Path | None, typer.Option(file_okay=False, help="Draw precision and recall, and counts, here, as PNG.")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder with the truth's images: draw the worst cells too."),
    ] = None,
    worst: Annotated[int, typer.Option(min=1, help="How many of the worst cells.")] = 20,
) -> None:
    """Compare detected chromosomes (a COCO results list) with a COCO ground truth.

    With masks on both sides, the corrections that an operator would have to make are counted too.
    """
    if images and not figures:
        fail("--images draws cells: name a folder for them with --figures", 2)
    if figures:
        _require_matplotlib()
    try:
        comparison = load(ground_truth, results)
        report = instances_report(comparison, min_score=min_score, resamples=resamples, by=by)
        if figures:
            from training.evaluation.instances.plots import draw  # noqa: PLC0415 - matplotlib is an extra

            for path in draw(comparison, figures, min_score=min_score, images=images, worst=worst):
                err.print(f"wrote {path}")
    except ValueError as problem:
        fail(str(problem))
    if by:
        wide = Console(stderr=True, highlight=False, width=max(err.width, 160))  # intervals cannot be folded
        print_table("every result counted; 95 % intervals below", *domain_table(report, by), to=wide)
    print_json({name: part for name, part in report.items() if details or name != "images"})


@evaluate_app.command()
def classes(
    truth: File,
    predictions: File,
    resamples: Resamples = 500,
    figures: Annotated[
        Path | None, typer.Option(file_okay=False, help="Draw confusion, reliability and risk-coverage here, as PNG.")
    ] = None,
    crops: Annotated[
        Path | None,
        typer.Option(
            exists=True, help="Zip or folder with the crops: draw the most confident errors too. A zip as truth is one."
        ),
    ] = None,
) -> None:
    """Compare predicted classes of single chromosomes with a truth.

    Predictions are a CSV with the columns file,class,score,top5. The truth is a CSV with the columns file,class, or a
    zip of crops with an index.csv.
    """
    if figures:
        _require_matplotlib()
    try:
        comparison = data.read(truth, predictions)
        if figures:
            from training.evaluation.classification.plots import draw  # noqa: PLC0415 - matplotlib is an extra

            for path in draw(comparison, figures, crops or (truth if truth.suffix == ".zip" else None)):
                err.print(f"wrote {path}")
        elif crops:
            fail("--crops draws errors: name a folder for them with --figures", 2)
        print_json(classes_report(comparison, resamples=resamples))
    except ValueError as problem:
        fail(str(problem))


def _require_matplotlib() -> None:
    """Exit with a sentence if matplotlib, which draws the figures, is not installed."""
    if find_spec("matplotlib") is None:
        fail("--figures needs matplotlib: pip install 'karyoflow[train]'", 2)
