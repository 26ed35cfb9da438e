"""``karyo classify``: pictures of single chromosomes, without services."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.console import AsJson, err, fail, print_json, print_table, progress_bar
from ingest.rejections import Rejected
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
from reports.tables import write_csv
from settings import EngineChoice, Settings

COLUMNS = ("file", "class", "score", "top5", "p_up", "p_unknown")
CELL_COLUMNS = ("file", "class", "score", "top5", "assigned_class", "assigned_score", "p_up", "p_unknown")
_SHOWN = 20
"""Rejected pictures that the table lists."""
_WORTH_A_PROCESS = 500
"""Fewer pictures than this are done before another process has started."""


def classify(
    path: Annotated[Path, typer.Argument(exists=True, help="A folder or a zip of single-chromosome pictures.")],
    *,
    csv: Annotated[Path, typer.Option(dir_okay=False, help="Write one row per picture to this file.")],
    by_cell: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|folder",
            help="The cell of each picture: a column of the index.csv beside the pictures, or `folder` for the folder "
            "that it lies in. Each cell then has its own scale, and assigned_class weighs its chromosomes together. "
            "Without it, all pictures are taken for one population with one scale.",
        ),
    ] = None,
    engine: Annotated[EngineChoice | None, typer.Option(help="What runs the network; default: KARYO_ENGINE.")] = None,
    karyograms: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Draw a karyogram of each cell into this folder, as PNG and SVG."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes that read and straighten.")] = None,
    as_json: AsJson = False,
) -> None:
    """Name single chromosomes: any orientation, either contrast, a folder or a zip.

    Columns: file, class, score (its probability), top5 (best first); with --by-cell assigned_class and assigned_score;
    p_up (probability that the p arm is at the upper end of the picture; empty if it lies flat) and p_unknown
    (probability that it is no whole chromosome).

    Leaves with 0 if every picture was classified or rejected for a named reason.
    """
    if not csv.absolute().parent.is_dir():
        fail(f"there is no folder {csv.absolute().parent} to write {csv.name} to", 2)
    if karyograms and not by_cell:
        fail("--karyograms shows cells: say of which cell each picture is with --by-cell", 2)
    network = load_engine(registry.resolve(EMBEDDER).path, engine or Settings().engine)
    with open_collection(path) as collection:
        found = collection.crops(by_cell)
        pictures = [item for item in found if isinstance(item, ListedCrop)]
        if not found:
            fail(f"no image files in {path}")
        answers = _answers(collection, pictures, by_cell, network, jobs or _processes(len(pictures)))
    rows = [_row(picture.name, answer) for picture, answer in answers if isinstance(answer, ClassifiedCrop)]
    write_csv(csv, CELL_COLUMNS if by_cell else COLUMNS, rows)
    if karyograms:
        _draw(answers, karyograms)
    rejected = [item for item in found if isinstance(item, Rejected)]
    rejected += [
        Rejected(picture.name, answer.reason, answer.sentence)
        for picture, answer in answers
        if isinstance(answer, RejectedCrop)
    ]
    cells = (
        len({picture.cell for picture, answer in answers if isinstance(answer, ClassifiedCrop)}) if by_cell else None
    )
    if as_json:
        refusals = [{"file": name, "reason": reason, "sentence": sentence} for name, reason, sentence in rejected]
        print_json({"csv": str(csv), "classified": len(rows), "cells": cells, "rejected": refusals})
        return
    if rejected:
        print_table("Not classified", ("file", "reason", "what it means"), rejected[:_SHOWN])
        if len(rejected) > _SHOWN:
            err.print(f"... and {len(rejected) - _SHOWN} more; --json lists them all")
    of_cells = f" of {cells} cells" if by_cell else ""
    err.print(
        f"{len(rows)} pictures{of_cells} classified, {len(rejected)} rejected: {escape(str(csv))}", soft_wrap=True
    )


def _answers(
    collection: CropCollection, pictures: Sequence[ListedCrop], by_cell: str | None, network: Engine, jobs: int
) -> list[tuple[ListedCrop, ClassifiedCrop | RejectedCrop]]:
    """What each picture shows, in the order of the pictures."""
    with progress_bar() as progress:
        task = progress.add_task("classifying", total=len(pictures), note="")
        if by_cell is None:
            files = (_content(collection, picture) for picture in pictures)
            said = classify_population(files, network, jobs, lambda count: progress.update(task, advance=count))
            return list(zip(pictures, said, strict=True))
        cells: dict[str | None, list[int]] = {}
        for place, picture in enumerate(pictures):
            cells.setdefault(picture.cell, []).append(place)
        contents = ([_content(collection, pictures[k]) for k in places] for places in cells.values())
        answers: dict[int, ClassifiedCrop | RejectedCrop] = {}
        for (cell, places), together in zip(cells.items(), classify_cells(contents, network, jobs), strict=True):
            answers.update(zip(places, together, strict=True))
            progress.update(task, advance=len(places), note=cell)
        return [(picture, answers[place]) for place, picture in enumerate(pictures)]


def _draw(answers: Sequence[tuple[ListedCrop, ClassifiedCrop | RejectedCrop]], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    cells: dict[str, list[ClassifiedCrop]] = {}
    for picture, answer in answers:
        if isinstance(answer, ClassifiedCrop):
            cells.setdefault(picture.cell or "", []).append(answer)
    taken: set[str] = set()
    for name, members in cells.items():
        stem = plain = re.sub(r"[^\w.-]+", "_", name).strip("._") or "cell"
        while stem in taken:
            stem = f"{plain}_{len(taken)}"
        taken.add(stem)
        cell = assemble_cell(members)
        (folder / f"{stem}.png").write_bytes(encode_png(draw_karyogram(cell, name)))
        (folder / f"{stem}.svg").write_text(karyogram_svg(cell, name), "utf-8")


def _content(collection: CropCollection, picture: ListedCrop) -> CropFile:
    content = collection.read(picture.name, LIMITS.max_bytes)
    return RejectedCrop(content.reason, content.sentence) if isinstance(content, Rejected) else content


def _row(name: str, answer: ClassifiedCrop) -> dict[str, Any]:
    top5 = answer.classified.top5
    p_up, assigned = answer.p_up, answer.assigned
    row = {
        "file": name,
        "class": class_name(top5[0][0]),
        "score": round(answer.score, 6),
        "top5": " ".join(class_name(class_id) for class_id, _ in top5),
        "p_up": None if p_up is None else round(p_up, 6),
        "p_unknown": round(answer.classified.unknown, 6),
    }
    if assigned is not None:
        row |= {"assigned_class": class_name(assigned.class_id), "assigned_score": round(assigned.score, 6)}
    return row


def _processes(pictures: int) -> int:
    return max(1, min(len(os.sched_getaffinity(0)), pictures // _WORTH_A_PROCESS))
