"""``karyo evaluate``: results against truth, as JSON and as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.console import err, fail, print_json
from training.evaluation import answers
from training.evaluation.classes import draw, report
from training.evaluation.coco import evaluate as evaluate_instances

evaluate_app = typer.Typer(help="Compare results with a truth; every metric as JSON.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]
Resamples = Annotated[int, typer.Option(min=0, help="Bootstrap resamples for confidence intervals; 0 for none.")]


@evaluate_app.command()
def coco(
    ground_truth: File,
    results: File,
    min_score: Annotated[float, typer.Option(help="Count only results of at least this score.")] = 0.0,
    details: Annotated[bool, typer.Option(help="Add a row per image, worst first.")] = False,
) -> None:
    """Chromosomes found (a COCO results list) against a COCO ground truth."""
    found = evaluate_instances(ground_truth, results, min_score=min_score)
    if not details:
        found.pop("images", None)
    print_json(found)


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
            exists=True, help="Zip or folder with the crops: draw the surest errors too. A zip as truth is one."
        ),
    ] = None,
) -> None:
    """Classes of single chromosomes (columns file,class,score,top5) against a truth (file,class).

    The truth is a CSV, or a zip of crops with an index.csv.
    """
    try:
        compared = answers.read(truth, predictions)
        if figures:
            for drawn in draw(compared, figures, crops or (truth if truth.suffix == ".zip" else None)):
                err.print(f"wrote {drawn}")
        elif crops:
            fail("--crops is for pictures: say where they should go with --figures", 2)
        print_json(report(compared, resamples=resamples))
    except ValueError as problem:
        fail(str(problem))
