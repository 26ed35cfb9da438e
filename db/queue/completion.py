"""Completion: the results of several analyses in one statement and one commit."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from db import discarded_objects
from db.queue.types import AnalysisResult, Leased

# Every insert reads ``done``: the rows of a result go with its token, so a lost lease writes nothing.
_FINISH = text(
    """
    WITH done AS (
        UPDATE karyo.analyses analysis
        SET state = 'done', finished_at = now(), seconds = given.seconds, iscn = given.iscn,
            artefacts = given.artefacts, reason = NULL, error = NULL, lease_token = NULL, lease_expires_at = NULL
        FROM jsonb_to_recordset(CAST(:results AS jsonb))
             AS given(id bigint, token uuid, seconds real, iscn text, artefacts jsonb, chromosomes jsonb, qc jsonb)
        WHERE analysis.id = given.id AND analysis.lease_token = given.token AND analysis.state = 'running'
        RETURNING analysis.id, analysis.case_id, analysis.pipeline_id, given.chromosomes, given.qc
    ), chromosomes AS (
        INSERT INTO karyo.chromosomes
        SELECT given.* FROM done, jsonb_populate_recordset(CAST(NULL AS karyo.chromosomes), done.chromosomes) given
    ), quality AS (
        INSERT INTO karyo.qc_metrics
        SELECT given.* FROM done, jsonb_populate_record(CAST(NULL AS karyo.qc_metrics), done.qc) given
    ), stale AS (
        INSERT INTO karyo.case_results AS result (case_id, pipeline_id)
        SELECT DISTINCT case_id, pipeline_id FROM done
        ORDER BY 1, 2  -- one order everywhere prevents deadlocks
        ON CONFLICT (case_id, pipeline_id)
        DO UPDATE SET state = 'stale', revision = result.revision + 1, sent_at = NULL
    )
    SELECT id FROM done
    """
)


def finish_all(session: Session, finished: Sequence[tuple[Leased, AnalysisResult]]) -> set[int]:
    """Write the results of analyses and set them done.

    Args:
        session: an open transaction.
        finished: each lease with its result.

    Returns:
        The ids of the analyses that were written; the others had lost their lease. Artefacts of those that were erased
        meanwhile are noted for deletion.
    """
    results = []
    for leased, result in finished:
        key = {"analysis_id": leased.analysis_id}
        results.append(
            {
                "id": leased.analysis_id,
                "token": str(leased.token),
                "seconds": result.seconds,
                "iscn": result.iscn,
                "artefacts": dict(result.artefacts),
                "chromosomes": [{**row, **key} for row in result.chromosomes],
                "qc": {**result.qc, **key},
            }
        )
    written = set(session.scalars(_FINISH, {"results": _json(results)}))
    if unwritten := [result for result in results if result["id"] not in written]:
        discarded_objects.add_unwritten(session, unwritten)
    return written


def finish(session: Session, leased: Leased, result: AnalysisResult) -> bool:
    """Write one result as ``finish_all`` does; return False if the lease is lost."""
    return bool(finish_all(session, [(leased, result)]))


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    try:
        return json.dumps(rows, default=_to_json, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(rows), default=_to_json)


def _to_json(value: Any) -> Any:
    """Return bytes as PostgreSQL reads them from text, and NumPy's numbers as Python's."""
    return f"\\x{value.hex()}" if isinstance(value, bytes) else value.item()


def _finite(value: Any) -> Any:
    """Replace NaN and infinities by text, which PostgreSQL reads as such numbers."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
