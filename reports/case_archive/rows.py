"""Rows of a case as one document without numbers of its database, and back.

Images are named by their SHA-256 and pipelines by their digest. Analyses, reviews and sign-offs are numbered from 1 in
their order, so two installations with the same case have the same document.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from db import pipelines
from models.registry import digest

Row = dict[str, Any]
Document = dict[str, Any]

_ANALYSIS_LISTS = ("ranking", "unexplained", "cells", "exact")  # keys of a case summary with analysis ids

_QUERIES = {
    "case": """
        SELECT to_jsonb(c) - '{id}'::text[] FROM karyo.cases c WHERE c.id = :case_id
    """,
    "images": """
        SELECT to_jsonb(i) - '{id,case_id,batch_id}'::text[] FROM karyo.images i
        WHERE i.case_id = :case_id ORDER BY i.sha256 COLLATE "C"
    """,
    "pipelines": """
        SELECT jsonb_build_object('digest', p.digest, 'document', p.document, 'models', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('sha256', m.sha256, 'name', m.name, 'card', m.card)
                                      ORDER BY m.sha256), '[]')
            FROM karyo.models m
            WHERE EXISTS (SELECT FROM jsonb_path_query(p.document, 'strict $.**') part
                          WHERE part = to_jsonb(m.sha256))))
        FROM karyo.pipelines p
        WHERE p.id IN (SELECT a.pipeline_id FROM karyo.analyses a JOIN karyo.images i ON i.id = a.image_id
                       WHERE i.case_id = :case_id AND a.finished_at IS NOT NULL)
        ORDER BY p.digest
    """,
    "analyses": """
        SELECT (to_jsonb(a) || jsonb_build_object('image', i.sha256, 'pipeline', p.digest))
               - '{image_id,case_id,pipeline_id,campaign_id,lane_id,round,not_before,lease_token,lease_expires_at,
                   worker,queued_at,shared}'::text[]
        FROM karyo.analyses a
        JOIN karyo.images i ON i.id = a.image_id
        JOIN karyo.pipelines p ON p.id = a.pipeline_id
        WHERE i.case_id = :case_id AND a.finished_at IS NOT NULL
        ORDER BY i.sha256 COLLATE "C", p.digest COLLATE "C"
    """,
    "chromosomes": """
        SELECT to_jsonb(c) FROM karyo.chromosomes c WHERE c.analysis_id = ANY (:analyses) ORDER BY c.ordinal
    """,
    "qc_metrics": "SELECT to_jsonb(q) FROM karyo.qc_metrics q WHERE q.analysis_id = ANY (:analyses)",
    "case_results": """
        SELECT (to_jsonb(r) || jsonb_build_object('pipeline', p.digest))
               - '{case_id,pipeline_id,revision,sent_at}'::text[]
        FROM karyo.case_results r JOIN karyo.pipelines p ON p.id = r.pipeline_id
        WHERE r.case_id = :case_id ORDER BY p.digest COLLATE "C"
    """,
    "reviews": "SELECT to_jsonb(r) - 'case_id' FROM karyo.reviews r WHERE r.case_id = :case_id ORDER BY r.id",
    "sign_offs": """
        SELECT (to_jsonb(s) || jsonb_build_object('pipeline', p.digest)) - '{case_id,pipeline_id}'::text[]
        FROM karyo.sign_offs s JOIN karyo.pipelines p ON p.id = s.pipeline_id
        WHERE s.case_id = :case_id ORDER BY s.id
    """,
}
_IDS = text("SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)")
_LANE = text(
    """
    WITH added AS (INSERT INTO karyo.lanes (priority, lab) VALUES (:priority, :lab) ON CONFLICT DO NOTHING RETURNING id)
    SELECT id FROM added UNION SELECT id FROM karyo.lanes WHERE priority = :priority AND lab = :lab
    """
)


def read_rows(session: Session, case_id: int) -> Document:
    """Return the rows of a case; analyses that have not ended are left out."""
    parameters: dict[str, Any] = {"case_id": case_id, "analyses": []}
    rows: dict[str, list[Row]] = {}
    for name, query in _QUERIES.items():
        rows[name] = list(session.scalars(text(query), parameters))
        if name == "analyses":
            parameters["analyses"] = [row["id"] for row in rows[name]]
    analyses, reviews, sign_offs = (_number(rows[name]) for name in ("analyses", "reviews", "sign_offs"))
    document: Document = _renumber(rows, analyses, reviews, sign_offs)
    for name in ("chromosomes", "qc_metrics"):
        document[name].sort(key=lambda row: (row["analysis_id"], row.get("ordinal", 0)))
    return document | {"case": rows["case"][0]}


def write_rows(session: Session, document: Document, batch_id: int) -> int:
    """Insert the rows of a document; return the number of the case.

    Args:
        session: an open transaction.
        document: as ``read_rows`` returns it.
        batch_id: batch of ingest of the images.

    Raises:
        KeyError, TypeError, ValueError: the document has another form.
        sqlalchemy.exc.DBAPIError: a row cannot be.
    """
    pipeline_ids = {one["digest"]: _register(session, one) for one in document["pipelines"]}
    (case_id,) = _next_ids(session, "cases", 1)
    image_ids = dict(
        zip(
            (row["sha256"] for row in document["images"]),
            _next_ids(session, "images", len(document["images"])),
            strict=True,
        )
    )
    numbers = [
        dict(enumerate(_next_ids(session, name, len(document[name])), start=1))
        for name in ("analyses", "reviews", "sign_offs")
    ]
    rows = _renumber(document, *numbers)
    case = document["case"]
    of_case: Row = {"case_id": case_id}
    _insert(session, "cases", [case | {"id": case_id}])
    images = [row | of_case | {"id": image_ids[row["sha256"]], "batch_id": batch_id} for row in rows["images"]]
    _insert(session, "images", images)
    for row in rows["analyses"]:
        lane = {"priority": row["priority"], "lab": case["lab"] or ""}
        keys = {"image_id": image_ids[row["image"]], "pipeline_id": pipeline_ids[row["pipeline"]]}
        row.update(of_case | keys | {"lane_id": session.scalars(_LANE, lane).one(), "round": 0, "shared": False})
    _insert(session, "analyses", rows["analyses"])
    for name in ("chromosomes", "qc_metrics"):
        _insert(session, name, rows[name])
    by_pipeline = [row | of_case | {"pipeline_id": pipeline_ids[row["pipeline"]]} for row in rows["case_results"]]
    _insert(session, "case_results", [row | {"revision": 1} for row in by_pipeline])
    _insert(session, "reviews", [row | of_case for row in rows["reviews"]])
    signed = [row | of_case | {"pipeline_id": pipeline_ids[row["pipeline"]]} for row in rows["sign_offs"]]
    _insert(session, "sign_offs", signed)
    return case_id


def object_keys(document: Document) -> list[str]:
    """Return the keys of all objects that the rows of a document name, in order."""
    artefacts = [row["artefacts"] or {} for name in ("analyses", "case_results") for row in document[name]]
    originals = {row["object_key"] for row in document["images"]}
    return sorted(originals.union(*(one.values() for one in artefacts)))


def _number(rows: Iterable[Row]) -> dict[int, int]:
    return {row["id"]: place for place, row in enumerate(rows, start=1)}


def _renumber(
    rows: Mapping[str, Any], analyses: Mapping[int, int], reviews: Mapping[int, int], sign_offs: Mapping[int, int]
) -> dict[str, list[Row]]:
    """Return copies of the rows with other numbers of analyses, reviews and sign-offs; 0 stays."""
    reviews, sign_offs = {0: 0, **reviews}, {0: 0, **sign_offs}
    return {
        "pipelines": list(rows["pipelines"]),
        "images": list(rows["images"]),
        "analyses": [row | {"id": analyses[row["id"]]} for row in rows["analyses"]],
        **{
            name: [row | {"analysis_id": analyses[row["analysis_id"]]} for row in rows[name]]
            for name in ("chromosomes", "qc_metrics")
        },
        "case_results": [
            row | {"summary": _renumber_summary(row["summary"], analyses)} for row in rows["case_results"]
        ],
        "reviews": [
            row
            | {
                "id": reviews[row["id"]],
                "follows": reviews[row["follows"]],
                "analysis_id": analyses[row["analysis_id"]],
            }
            | {"detail": _renumber_undo(row, reviews)}
            for row in rows["reviews"]
        ],
        "sign_offs": [
            row
            | {"id": sign_offs[row["id"]], "follows": sign_offs[row["follows"]]}
            | {"last_review_id": reviews[row["last_review_id"]]}
            | {"analysis_ids": [analyses[one] for one in row["analysis_ids"]]}
            | {"result": _renumber_summary(row["result"], analyses)}
            for row in rows["sign_offs"]
        ],
    }


def _renumber_undo(review: Row, reviews: Mapping[int, int]) -> Row:
    detail: Row = review["detail"]
    return detail | {"review": reviews[detail["review"]]} if review["action"] == "undo" else detail


def _renumber_summary(value: Any, analyses: Mapping[int, int], key: str = "") -> Any:
    """Return a case summary with other analysis ids, which only lists of some keys hold."""
    if isinstance(value, dict):
        return {name: _renumber_summary(item, analyses, name) for name, item in value.items()}
    if isinstance(value, list):
        if key in _ANALYSIS_LISTS:
            return [analyses[item] for item in value]
        return [_renumber_summary(item, analyses) for item in value]
    return value


def _register(session: Session, pipeline: Row) -> int:
    if digest(pipeline["document"]) != pipeline["digest"]:
        raise ValueError("the document of a pipeline has another digest")
    return pipelines.register(session, pipeline["document"], pipeline["digest"], pipeline["models"])


def _next_ids(session: Session, table: str, count: int) -> list[int]:
    return list(session.scalars(_IDS, {"table": f"karyo.{table}", "count": count}))


def _insert(session: Session, table: str, rows: Sequence[Row]) -> None:
    statement = (
        f"INSERT INTO karyo.{table} OVERRIDING SYSTEM VALUE "
        f"SELECT * FROM jsonb_populate_recordset(CAST(NULL AS karyo.{table}), CAST(:rows AS jsonb))"
    )
    session.execute(text(statement), {"rows": json.dumps(rows)})
