"""``karyo classify``: crops of single chromosomes, without services."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.console import err, fail, print_json, print_table, progress_bar, warn
from cli.files import check_output_files, fail_without_images
from cli.options import AsJson
from ingest.printable import printable
from ingest.rejections import Rejected
from ingest.sources.content import describe_passed_over, is_no_image
from ingest.sources.crops import CropCollection, ListedCrop, open_collection
from karyotyping.classification.embedder import EMBEDDER
from karyotyping.crops import (
    LIMITS,
    ClassifiedCrop,
    CropFile,
    RejectedCrop,
    assemble_cell,
    classify_cells,
    classify_population,
)
from karyotyping.nomenclature.classes import class_name
from karyotyping.rendering.karyogram import draw_karyogram, karyogram_svg
from karyotyping.rendering.png import encode_png
from models import registry
from models.engine import Engine, load_engine
from reports.file_names import safe_stem
from reports.tables import write_csv
from settings import EngineChoice, Settings

COLUMNS = ("file", "class", "score", "top5", "p_up", "p_unknown")
CELL_COLUMNS = ("file", "class", "score", "top5", "assigned_class", "assigned_score", "p_up", "p_unknown")
MAX_LISTED = 20  # rejected crops in the table for people
CROPS_PER_PROCESS = 500  # fewer are classified before another process has started

Outcome = tuple[ListedCrop, ClassifiedCrop | RejectedCrop]


def classify(
    path: Annotated[Path, typer.Argument(exists=True, help="A folder or a zip of single-chromosome crops.")],
    *,
    csv: Annotated[Path, typer.Option(dir_okay=False, help="Write one row per crop to this file.")],
    by_cell: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|folder",
            help="The cell of each crop: a column of the index.csv next to the crops, or `folder` for the folder that "
            "contains it. Each cell then has its own scale, and assigned_class uses all chromosomes of the cell. "
            "Without it, all crops form one population with one scale.",
        ),
    ] = None,
    engine: Annotated[EngineChoice | None, typer.Option(help="Engine of the network; default: KARYO_ENGINE.")] = None,
    karyograms: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Draw a karyogram of each cell into this folder, as PNG and SVG."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes that read and straighten.")] = None,
    as_json: AsJson = False,
) -> None:
    """Classify single chromosomes: any orientation, either contrast, a folder or a zip.

    Columns: file, class, score (its probability), top5 (best first); with --by-cell assigned_class and assigned_score;
    p_up (probability that the p arm is at the upper end of the crop; empty if the chromosome is horizontal) and
    p_unknown (probability that it is no whole chromosome).

    Exits with 0 if every crop was classified or rejected for a named reason.
    """
    check_output_files(csv)
    if karyograms and not by_cell:
        fail("--karyograms needs the cell of each crop: add --by-cell", 2)
    network = load_engine(registry.resolve(EMBEDDER).path, engine or Settings().engine)
    with open_collection(path) as collection:
        listed = collection.crops(by_cell)
        for note in collection.notes:
            warn(note)
        passed_over = Counter(file.kind for file in collection.passed_over)
        if all(isinstance(item, Rejected) and is_no_image(item) for item in listed):
            fail_without_images(path, passed_over, len(listed))
        crops = [crop for crop in listed if isinstance(crop, ListedCrop)]
        outcomes = _classify_all(collection, crops, by_cell, network, jobs or _default_jobs(len(crops)))
    classified = [(crop, result) for crop, result in outcomes if isinstance(result, ClassifiedCrop)]
    write_csv(csv, CELL_COLUMNS if by_cell else COLUMNS, [_row(crop.name, result) for crop, result in classified])
    if karyograms:
        _draw_karyograms(classified, karyograms)
    rejected = [crop for crop in listed if isinstance(crop, Rejected)]
    rejected += [
        Rejected(crop.name, result.reason, result.sentence)
        for crop, result in outcomes
        if isinstance(result, RejectedCrop)
    ]
    cells = len({crop.cell for crop, _ in classified}) if by_cell else None
    if as_json:
        rejections = [{"file": name, "reason": reason, "sentence": sentence} for name, reason, sentence in rejected]
        print_json(
            {
                "csv": str(csv),
                "classified": len(classified),
                "cells": cells,
                "rejected": rejections,
                "passed_over": dict(passed_over),
            }
        )
    else:
        _print_summary(csv, len(classified), cells, rejected, passed_over)


def _print_summary(
    csv: Path, classified: int, cells: int | None, rejected: Sequence[Rejected], passed_over: Mapping[str, int]
) -> None:
    if rejected:
        print_table("Not classified", ("file", "reason", "what it means"), rejected[:MAX_LISTED])
        if len(rejected) > MAX_LISTED:
            err.print(f"... and {len(rejected) - MAX_LISTED} more; --json lists them all")
    of_cells = "" if cells is None else f" of {cells} cells"
    counts = f"{classified} crops{of_cells} classified, {len(rejected)} rejected"
    counts = "; ".join(filter(None, (counts, describe_passed_over(passed_over))))
    err.print(f"{escape(counts)}: {escape(printable(str(csv)))}", soft_wrap=True)


def _classify_all(
    collection: CropCollection, crops: Sequence[ListedCrop], by_cell: str | None, network: Engine, jobs: int
) -> list[Outcome]:
    """Return the outcome of each crop, in the order of ``crops``."""
    with progress_bar() as progress:
        task = progress.add_task("classifying", total=len(crops), note="")
        if by_cell is None:
            files = (_read(collection, crop) for crop in crops)
            results = classify_population(files, network, jobs, lambda count: progress.update(task, advance=count))
            return list(zip(crops, results, strict=True))
        cells: dict[str | None, list[int]] = {}
        for index, crop in enumerate(crops):
            cells.setdefault(crop.cell, []).append(index)
        contents = ([_read(collection, crops[index]) for index in indices] for indices in cells.values())
        by_index: dict[int, ClassifiedCrop | RejectedCrop] = {}
        for (cell, indices), of_cell in zip(cells.items(), classify_cells(contents, network, jobs), strict=True):
            by_index.update(zip(indices, of_cell, strict=True))
            progress.update(task, advance=len(indices), note=cell)
        return [(crop, by_index[index]) for index, crop in enumerate(crops)]


def _draw_karyograms(classified: Sequence[tuple[ListedCrop, ClassifiedCrop]], folder: Path) -> None:
    """Write the karyogram of each cell to a file named after it; equal file names get a number."""
    folder.mkdir(parents=True, exist_ok=True)
    cells: dict[str, list[ClassifiedCrop]] = {}
    for crop, result in classified:
        cells.setdefault(crop.cell or "", []).append(result)
    used: set[str] = set()
    for name, members in cells.items():
        stem = safe = safe_stem(re.sub(r"[^\w.-]+", "_", name).strip("._") or "cell")
        while stem in used:
            stem = f"{safe}_{len(used)}"
        used.add(stem)
        cell = assemble_cell(members)
        (folder / f"{stem}.png").write_bytes(encode_png(draw_karyogram(cell, name)))
        (folder / f"{stem}.svg").write_text(karyogram_svg(cell, name), "utf-8")


def _read(collection: CropCollection, crop: ListedCrop) -> CropFile:
    content = collection.read(crop.name, LIMITS.max_bytes)
    return RejectedCrop(content.reason, content.sentence) if isinstance(content, Rejected) else content


def _row(name: str, crop: ClassifiedCrop) -> dict[str, Any]:
    top5 = crop.prediction.top5
    p_up, assigned = crop.p_up, crop.assignment
    row = {
        "file": name,
        "class": class_name(top5[0][0]),
        "score": round(crop.score, 6),
        "top5": " ".join(class_name(class_id) for class_id, _ in top5),
        "p_up": None if p_up is None else round(p_up, 6),
        "p_unknown": round(crop.prediction.unknown, 6),
    }
    if assigned is not None:
        row |= {"assigned_class": class_name(assigned.class_id), "assigned_score": round(assigned.score, 6)}
    return row


def _default_jobs(crops: int) -> int:
    return max(1, min(len(os.sched_getaffinity(0)), crops // CROPS_PER_PROCESS))
