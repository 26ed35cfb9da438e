"""``karyo evaluate``: results against truth, as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.console import print_json
from training.evaluation.classes import evaluate_classes
from training.evaluation.coco import evaluate as evaluate_instances

evaluate_app = typer.Typer(help="Compare results with a truth; every metric as JSON.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]


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
def classes(truth: File, predictions: File) -> None:
    """Classes of single chromosomes (columns file,class,score,top5) against a truth (columns file,class)."""
    print_json(evaluate_classes(truth, predictions))
