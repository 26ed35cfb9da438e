"""``karyo analyse``: the pipeline alone, without services."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.console import err, fail, print_rejection, progress_bar
from cli.pipeline_options import ClassifierOption, SegmenterOption
from ingest.sources.folder import image_files
from karyotyping.image.decode import ImageRejected, Limits, decode
from karyotyping.model import AnalysisError
from karyotyping.pipeline import Classifier, Pipeline, Segmenter
from karyotyping.rows import CELL_COLUMNS, CellRow, CocoResult, cell_row, chromosome_rows, coco_results, quality_row
from reports.tables import write_csv
from settings import EngineChoice, Settings


def analyse(
    path: Annotated[Path, typer.Argument(exists=True, help="An image, or a folder of images.")],
    *,
    coco: Annotated[Path | None, typer.Option(help="Write chromosomes to this file as a COCO results list.")] = None,
    cells: Annotated[Path | None, typer.Option(help="Write one row per image to this CSV file.")] = None,
    classifier: ClassifierOption = Classifier.EMBEDDING,
    segmenter: SegmenterOption = Segmenter.NETWORK,
    engine: Annotated[EngineChoice | None, typer.Option(help="Engine of the networks; default: KARYO_ENGINE.")] = None,
) -> None:
    """Karyotype images with the pipeline alone: no database, no queue, the same results.

    Exits with 0 if every image was analysed or rejected for a named reason.
    """
    files = image_files(path)
    if not files:
        fail(f"no image files in {path}")
    settings = Settings()
    limits = Limits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
    pipeline = Pipeline.default(engine or settings.engine, classifier, segmenter)
    items: list[CocoResult] = []
    rows: list[CellRow] = []
    with progress_bar() as progress:
        task = progress.add_task("analysing", total=len(files), note="")
        for image_id, file in enumerate(files, start=1):
            try:
                cell = pipeline.analyse(decode(file.path.read_bytes(), limits).pixels)
            except (ImageRejected, AnalysisError) as problem:
                print_rejection(file.name, problem.reason, problem.sentence)
                rows.append(cell_row(file.name, reason=problem.reason))
            else:
                items += coco_results(file.name, image_id, cell.shape, chromosome_rows(cell))
                rows.append(cell_row(file.name, iscn=cell.iscn, qc=quality_row(cell)))
            progress.update(task, advance=1, note=file.name)
    if coco:
        coco.write_text(json.dumps(items))
    if cells:
        write_csv(cells, CELL_COLUMNS, rows)
    analysed = sum(row["iscn"] is not None for row in rows)
    err.print(f"{analysed} of {len(files)} images analysed, {len(items)} chromosomes found")
