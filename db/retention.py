"""Objects that rows name, and the removal of artefacts by the retention policy.

The age of an artefact is that of its case: since its last analysis ended, or since it was last signed. Artefacts of
results that somebody has signed are kept for ever, and so are original images.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sqlalchemy import exists, func, select, text
from sqlalchemy.orm import Session

from db.clock import interval
from db.discarded_objects import Transact
from db.schema import IngestBatch

ORIGINAL = "original"
_PAGE = 500  # artefacts that are removed in one transaction
_ROWS = 1000  # references that are fetched at a time

# ``limits.oldest`` is NULL for a kind without a bound, which is then never due.
_IS_DUE = """
    analysis.finished_at < limits.oldest
    AND NOT EXISTS (
        SELECT FROM karyo.sign_offs sign_off
        WHERE sign_off.case_id = image.case_id
          AND (sign_off.created_at >= limits.oldest OR analysis.id = ANY (sign_off.analysis_ids)))
    AND NOT EXISTS (
        SELECT FROM karyo.images sibling JOIN karyo.analyses other ON other.image_id = sibling.id
        WHERE sibling.case_id = image.case_id
          AND (other.finished_at IS NULL OR other.finished_at >= limits.oldest))
"""
_ARTEFACTS = """
    karyo.analyses analysis
    JOIN karyo.images image ON image.id = analysis.image_id
    CROSS JOIN LATERAL jsonb_each_text(analysis.artefacts) artefact
    CROSS JOIN LATERAL (
        SELECT now() - make_interval(days => CAST(CAST(:days AS jsonb) ->> artefact.key AS integer)) AS oldest
    ) limits
"""
_REFERENCES = text(
    f"""
    SELECT named.object_key, named.kind, named.byte_count, named.is_due
    FROM (
        SELECT object_key, '{ORIGINAL}' AS kind, byte_count, false AS is_due FROM karyo.images
        UNION ALL
        SELECT artefact.value, artefact.key, NULL, coalesce({_IS_DUE}, false) FROM {_ARTEFACTS}
    ) named
    WHERE named.object_key COLLATE "C" >= :low AND named.object_key COLLATE "C" < :high
    ORDER BY named.object_key COLLATE "C"
    """
)
# The summary of a case names the artefacts of its best cell.
_REMOVE = text(
    f"""
    WITH due AS (
        SELECT analysis.id, image.case_id, artefact.key AS name, artefact.value AS object_key
        FROM {_ARTEFACTS}
        WHERE {_IS_DUE}
        LIMIT :limit
    ), changed AS (
        UPDATE karyo.analyses analysis
        SET artefacts = analysis.artefacts - removed.names,
            removed_artefacts = coalesce(analysis.removed_artefacts, '{{}}') || removed.dates
        FROM (SELECT id, array_agg(name) AS names, jsonb_object_agg(name, current_date) AS dates
              FROM due GROUP BY id) removed
        WHERE analysis.id = removed.id
    ), summaries AS (
        UPDATE karyo.case_results result
        SET artefacts = (SELECT coalesce(jsonb_object_agg(kept.key, kept.value), '{{}}')
                         FROM jsonb_each_text(result.artefacts) kept
                         WHERE kept.value NOT IN (SELECT object_key FROM due))
        WHERE result.case_id IN (SELECT case_id FROM due) AND result.artefacts IS NOT NULL
    ), noted AS (
        INSERT INTO karyo.discarded_objects (object_key) SELECT DISTINCT object_key FROM due ON CONFLICT DO NOTHING
    )
    SELECT name, count(*) FROM due GROUP BY name
    """
)


class Reference(NamedTuple):
    """A row that names an object."""

    key: str
    kind: str
    """``original``, or the name of an artefact."""
    byte_count: int | None
    """Size of an original; None for an artefact."""
    is_due: bool
    """Whether the policy removes it."""


def list_references(session: Session, low: str, high: str, days: Mapping[str, int]) -> Iterator[Reference]:
    """Yield what rows name from the key ``low`` to before ``high``, in order of the keys.

    Args:
        session: an open transaction.
        low: first key.
        high: end of the keys.
        days: age at which artefacts are removed, by name.
    """
    values = {"low": low, "high": high, "days": json.dumps(days)}
    with session.execute(_REFERENCES, values, execution_options={"yield_per": _ROWS}) as rows:
        for row in rows:
            yield Reference(*row)


def remove_due(transact: Transact, days: Mapping[str, int]) -> dict[str, int]:
    """Take artefacts that are due out of their rows; return their number by name.

    The rows keep the date. The objects are noted for ``discarded_objects.remove``.
    """

    def remove_page(session: Session) -> dict[str, int]:
        return dict(session.execute(_REMOVE, {"days": json.dumps(days), "limit": _PAGE}).all())

    removed: dict[str, int] = {}
    while page := transact(remove_page) if days else {}:
        removed = {name: removed.get(name, 0) + page.get(name, 0) for name in {*removed, *page}}
    return removed


def is_ingesting(session: Session, seconds: float) -> bool:
    """Return whether a batch of ingest that began in the last ``seconds`` has not ended."""
    recent = exists().where(IngestBatch.finished_at.is_(None), IngestBatch.started_at > func.now() - interval(seconds))
    return bool(session.scalar(select(recent)))


def describe_removed(removed_artefacts: Mapping[str, str] | None) -> dict[str, str]:
    """Return a sentence about each artefact that the policy removed, by name.

    >>> describe_removed({"overlay": "2026-11-30"})["overlay"]
    'The overlay was removed by the retention policy on 2026-11-30; re-analyse the image to draw it again.'
    """
    return {
        name: f"The {name.replace('_', ' ')} was removed by the retention policy on {date}; "
        "re-analyse the image to draw it again."
        for name, date in sorted((removed_artefacts or {}).items())
    }
