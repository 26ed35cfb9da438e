"""``karyo review list`` and ``show``: corrections of a case, and what they change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from cli.console import err, fail, print_json, print_table
from cli.options import AsJson
from cli.review_options import CaseArgument, PipelineOption, find_case, find_pipeline, review_session
from db import reviews as stored
from db.pipelines import label
from db.schema import Review
from karyotyping.nomenclature.classes import class_name
from karyotyping.nomenclature.iscn import NOT_CALLED
from karyotyping.review import parse_correction
from karyotyping.review.describe import describe
from karyotyping.review.replay import find_undone
from reviews import CaseCell, CaseReview, read_case, read_cell
from reviews.cells import to_recorded

_NOT_RESOLVED = "not resolved"


def list_reviews(case: CaseArgument, as_json: AsJson = False) -> None:
    """List the corrections and comments of a case, oldest first."""
    with review_session() as session:
        rows = _review_rows(stored.list_case_reviews(session, find_case(session, case).id))
    if as_json:
        print_json(rows)
    else:
        columns = ("review", "at", "reviewer", "analysis", "what", "because", "state")
        print_table(None, columns, ([_cell(row, column) for column in columns] for row in rows))


def show(
    case: CaseArgument,
    cell: Annotated[int | None, typer.Option(metavar="ANALYSIS", help="Show the chromosomes of one cell.")] = None,
    pipeline: PipelineOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what the corrections of a case change against the result of the pipeline."""
    with review_session() as session:
        review = read_case(session, find_case(session, case), find_pipeline(session, pipeline))
        if cell is not None:
            chromosomes = _chromosomes(session, review, cell)
    if cell is not None:
        _print_chromosomes(chromosomes, as_json=as_json)
    elif as_json:
        print_json(_case_json(review))
    else:
        _print_case(review)


def _review_rows(reviews: Sequence[Review]) -> list[dict[str, Any]]:
    """Return the reviews for people and machines, with whether they count."""
    analyses = {review.analysis_id for review in reviews}
    undone = {
        number
        for analysis_id in analyses
        for number in find_undone(to_recorded([review for review in reviews if review.analysis_id == analysis_id]))
    }
    return [
        {
            "review": review.id,
            "at": review.created_at,
            "reviewer": review.reviewer,
            "analysis": review.analysis_id,
            "action": review.action,
            "detail": review.detail,
            "what": describe(parse_correction(review.action, review.detail)),
            "because": review.detail.get("because"),
            "state": "undone" if review.id in undone else "comment" if review.action == "comment" else "in force",
        }
        for review in reviews
    ]


def _cell(row: dict[str, Any], column: str) -> Any:
    return f"{row[column]:%Y-%m-%d %H:%M:%S}" if column == "at" else row[column]


def _case_json(review: CaseReview) -> dict[str, Any]:
    signed = review.sign_off
    return {
        "case": review.case.accession,
        "pipeline": review.pipeline.name,
        "pipeline_digest": review.pipeline.digest,
        "state": review.state,
        "last_review": review.last_review_id,
        "unfinished": review.unfinished,
        "before": review.before.to_json(),
        "after": review.after.to_json(),
        "sign_off": signed
        and {
            "reader": signed.reader,
            "first_reader": signed.first_reader,
            "position": signed.position,
            "required": signed.required,
            "iscn": signed.iscn,
            "at": signed.created_at,
            "last_review": signed.last_review_id,
            "analyses": signed.analysis_ids,
        },
        "cells": [
            {
                "analysis": cell.result.analysis.id,
                "file_name": cell.result.image.file_name,
                "iscn_before": cell.result.analysis.iscn,
                "iscn_after": cell.iscn,
                "rejected": cell.after is None,
                "last_review": cell.reviews[-1].id if cell.reviews else 0,
                "reviews": _review_rows(cell.reviews),
            }
            for cell in review.cells
        ],
    }


def _print_case(review: CaseReview) -> None:
    columns = ("analysis", "file", "pipeline", "corrected", "what")
    print_table(None, columns, map(_cell_row, review.cells))
    before, after = (summary.iscn or _NOT_RESOLVED for summary in (review.before, review.after))
    lines = [f"pipeline {label(review.pipeline)}: {before}; {review.before.why}"]
    if any(cell.corrected is not None for cell in review.cells):
        lines.append(f"corrected: {after}; {review.after.why}")
    if review.unfinished:
        lines.append(f"{review.unfinished} images have no result of this pipeline yet")
    lines += [_describe_sign_off(review), f"last review: {review.last_review_id or 'none'}"]
    for line in lines:
        err.print(line, markup=False, soft_wrap=True)


def _cell_row(cell: CaseCell) -> tuple[Any, ...]:
    sentences = (describe(parse_correction(review.action, review.detail)) for review in cell.reviews)
    corrected = None if cell.corrected is None else "left out" if cell.after is None else cell.iscn or NOT_CALLED
    analysis, image = cell.result.analysis, cell.result.image
    return analysis.id, image.file_name, analysis.iscn or NOT_CALLED, corrected, "\n".join(sentences) or None


def _describe_sign_off(review: CaseReview) -> str:
    signed = review.sign_off
    if signed is None:
        return "not signed"
    readers = " and ".join(filter(None, [signed.first_reader, signed.reader]))
    sentence = f"{signed.iscn or _NOT_RESOLVED}, by {readers} on {signed.created_at:%Y-%m-%d %H:%M} UTC"
    return {
        "signed": f"signed: {sentence}",
        "first_signed": f"signed by the first of two readers: {sentence}",
        "reopened": f"open again, as it was corrected or analysed further since it was signed: {sentence}",
    }[review.state]


def _chromosomes(session: Session, review: CaseReview, analysis_id: int) -> list[dict[str, Any]]:
    found = next((cell for cell in review.cells if cell.result.analysis.id == analysis_id), None)
    if found is None:
        numbers = ", ".join(map(str, review.analysis_ids))
        fail(f"case {review.case.accession} has no cell {analysis_id} of this pipeline; it has: {numbers}")
    cell = read_cell(session, found)
    return [
        {
            "chromosome": row["ordinal"],
            "class": class_name(row["class_id"]),
            "class_score": round(row["class_score"], 3),
            "box": list(row["box"]),
            "length": round(row["length"], 1),
            "orientation": row["orientation"],
            "flags": list(row["flags"]),
            "corrected": row["ordinal"] in cell.corrected,
        }
        for row in cell.chromosomes
    ]


def _print_chromosomes(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    columns = ("chromosome", "class", "class_score", "box", "length", "orientation", "flags", "corrected")
    texts = {"box": ",".join, "flags": " ".join}
    print_table(
        None,
        columns,
        (
            [texts[name](map(str, row[name])) or None if name in texts else row[name] for name in columns[:-1]]
            + ["yes" if row["corrected"] else None]
            for row in rows
        ),
    )
