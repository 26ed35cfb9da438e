"""``karyo analyse``: the pipeline alone, without services."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cli.console import err, print_rejection, progress_bar
from cli.files import check_output_files, fail_without_images
from cli.options import Channel, Plane
from cli.pipeline_options import ClassifierOption, SegmenterOption
from ingest.rejections import Rejected
from ingest.sources.base import Item
from ingest.sources.content import PassedOver, describe_passed_over, is_no_image
from ingest.sources.folder import open_images
from karyotyping.image.decode import ImageRejected, Limits, decode
from karyotyping.model import AnalysisError, CellAnalysis
from karyotyping.pipeline import Classifier, Pipeline, Segmenter
from karyotyping.rows import CELL_COLUMNS, CellRow, CocoResult, cell_row, chromosome_rows, coco_results, quality_row
from reports.tables import write_csv
from settings import EngineChoice, Settings

UNEXPECTED = "unexpected_error"
"""Reason of an image that made the pipeline fail; the command exits with 1."""


def analyse(
    path: Annotated[Path, typer.Argument(exists=True, help="An image, or a folder of images.")],
    *,
    coco: Annotated[Path | None, typer.Option(help="Write chromosomes to this file as a COCO results list.")] = None,
    cells: Annotated[Path | None, typer.Option(help="Write one row per image to this CSV file.")] = None,
    channel: Channel = None,
    plane: Plane = None,
    classifier: ClassifierOption = Classifier.EMBEDDING,
    segmenter: SegmenterOption = Segmenter.NETWORK,
    engine: Annotated[EngineChoice | None, typer.Option(help="Engine of the networks; default: KARYO_ENGINE.")] = None,
) -> None:
    """Karyotype images with the pipeline alone: no database, no queue, the same results.

    Exits with 0 if there are images, and every one was analysed or rejected for a named reason.
    """
    check_output_files(coco, cells)
    answers = open_images(path)
    files = [answer for answer in answers if not isinstance(answer, PassedOver)]
    passed_over = Counter(answer.kind for answer in answers if isinstance(answer, PassedOver))
    if all(isinstance(file, Rejected) and is_no_image(file) for file in files):
        fail_without_images(path, passed_over, len(files))
    settings = Settings()
    limits = Limits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
    pipeline = Pipeline.default(engine or settings.engine, classifier, segmenter)
    items: list[CocoResult] = []
    rows: list[CellRow] = []
    image_id = 0
    with progress_bar() as progress:
        task = progress.add_task("analysing", total=len(files), note="")
        for file in files:
            image_id += isinstance(file, Item)
            cell = file if isinstance(file, Rejected) else _analyse(file, pipeline, limits, (channel, plane))
            if isinstance(cell, Rejected):
                print_rejection(*cell)
                rows.append(cell_row(cell.name, reason=cell.reason))
            else:
                items += coco_results(file.name, image_id, cell.shape, chromosome_rows(cell))
                rows.append(cell_row(file.name, iscn=cell.iscn, qc=quality_row(cell)))
            progress.update(task, advance=1, note=file.name)
    if coco:
        coco.write_text(json.dumps(items))
    if cells:
        write_csv(cells, CELL_COLUMNS, rows)
    analysed = sum(row["rejected"] is None for row in rows)
    counts = f"{analysed} of {len(files)} images analysed, {len(items)} chromosomes found"
    err.print(escape("; ".join(filter(None, (counts, describe_passed_over(passed_over))))), soft_wrap=True)
    raise typer.Exit(int(any(row["rejected"] == UNEXPECTED for row in rows)))


def _analyse(
    file: Item, pipeline: Pipeline, limits: Limits, selection: tuple[str | None, int | None]
) -> CellAnalysis | Rejected:
    """Return the analysis of one file, or why there is none; no error ends the others'."""
    try:
        data = file.read(limits.max_bytes)
        return data if isinstance(data, Rejected) else pipeline.analyse(decode(data, limits, *selection).pixels)
    except (ImageRejected, AnalysisError) as problem:
        return Rejected(file.name, problem.reason, problem.sentence)
    except Exception as error:
        return Rejected(file.name, UNEXPECTED, f"{type(error).__name__}: {error}; please report it with the image.")
