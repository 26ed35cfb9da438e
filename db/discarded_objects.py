"""Objects that no row names any more, until the object store has lost them.

An erasure or a removal commits before the first object is deleted, so a row never lacks its object. Whoever comes next,
the same command or another, deletes what an interrupted one has left.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db.schema import DiscardedObject, Image
from settings.failpoint import failpoint

T = TypeVar("T")
_PAGE = 500  # objects whose references are looked up at a time


class Transact(Protocol):
    """Runner of functions of a session, each in one transaction."""

    def __call__(self, work: Callable[[Session], T], /) -> T:
        """Return the result of ``work``, committed."""


_ADD_CASE = text(
    """
    INSERT INTO karyo.discarded_objects (object_key)
    SELECT object_key FROM karyo.images WHERE case_id = :case_id
    UNION
    SELECT artefact.value
    FROM karyo.images image
    JOIN karyo.analyses analysis ON analysis.image_id = image.id
    CROSS JOIN LATERAL jsonb_each_text(analysis.artefacts) artefact
    WHERE image.case_id = :case_id
    UNION
    SELECT artefact.value
    FROM karyo.case_results result CROSS JOIN LATERAL jsonb_each_text(result.artefacts) artefact
    WHERE result.case_id = :case_id
    ON CONFLICT DO NOTHING
    RETURNING object_key
    """
)
_ADD_UNWRITTEN = text(
    """
    INSERT INTO karyo.discarded_objects (object_key)
    SELECT DISTINCT artefact.value
    FROM jsonb_to_recordset(CAST(:results AS jsonb)) AS given(id bigint, artefacts jsonb)
    CROSS JOIN LATERAL jsonb_each_text(given.artefacts) artefact
    WHERE NOT EXISTS (SELECT FROM karyo.analyses analysis WHERE analysis.id = given.id)
    ON CONFLICT DO NOTHING
    """
)
_REFERENCED = text(
    """
    SELECT object_key FROM karyo.images WHERE object_key = ANY (:keys)
    UNION
    SELECT artefact.value
    FROM karyo.analyses analysis CROSS JOIN LATERAL jsonb_each_text(analysis.artefacts) artefact
    WHERE artefact.value = ANY (:keys)
    UNION
    SELECT artefact.value
    FROM karyo.case_results result CROSS JOIN LATERAL jsonb_each_text(result.artefacts) artefact
    WHERE artefact.value = ANY (:keys)
    """
)


def add_case(session: Session, case_id: int) -> int:
    """Note the objects of a case for deletion; return their number."""
    return len(session.scalars(_ADD_CASE, {"case_id": case_id}).all())


def add_unwritten(session: Session, results: Sequence[Mapping[str, Any]]) -> None:
    """Note the artefacts of analyses that were erased while a worker held them.

    Args:
        session: an open transaction.
        results: ``id`` and ``artefacts`` of results that were not written; those of lost leases are passed over.
    """
    given = [{name: result[name] for name in ("id", "artefacts")} for result in results]
    session.execute(_ADD_UNWRITTEN, {"results": json.dumps(given)})


def add(session: Session, keys: Collection[str]) -> None:
    """Note objects for deletion."""
    session.execute(insert(DiscardedObject).values([{"object_key": key} for key in keys]).on_conflict_do_nothing())


def keep(session: Session, keys: Collection[str]) -> None:
    """Spare objects that a row is about to name; waits while they are being deleted."""
    session.execute(delete(DiscardedObject).where(DiscardedObject.object_key.in_(keys)))


def count(session: Session) -> int:
    """Return the number of objects that the store must still lose."""
    return session.scalars(select(func.count()).select_from(DiscardedObject)).one()


def find_referenced(session: Session, keys: Collection[str]) -> set[str]:
    """Return those of ``keys`` that a row names; reads every analysis."""
    return set(session.scalars(_REFERENCED, {"keys": list(keys)}))


def remove(transact: Transact, delete_object: Callable[[str], None]) -> int:
    """Delete the noted objects that no row names; return how many were deleted.

    Args:
        transact: runs each step in one transaction.
        delete_object: deletes an object from the store, if it is there.

    Raises:
        StorageError: the store failed; the rest stays noted.
    """
    removed = 0
    while keys := transact(_next_page):
        referenced = transact(partial(find_referenced, keys=keys))
        for key in keys:
            removed += transact(partial(_remove, key=key, is_referenced=key in referenced, delete_object=delete_object))
    return removed


def _next_page(session: Session) -> list[str]:
    return list(session.scalars(select(DiscardedObject.object_key).order_by(DiscardedObject.object_key).limit(_PAGE)))


def _remove(session: Session, key: str, is_referenced: bool, delete_object: Callable[[str], None]) -> bool:
    """Delete an object; return whether it was there to delete. ``keep`` waits for its row."""
    noted = delete(DiscardedObject).where(DiscardedObject.object_key == key).returning(DiscardedObject.object_key)
    if session.scalar(noted) is None or is_referenced or _is_original(session, key):
        return False
    delete_object(key)
    failpoint("object_deleted")
    return True


def _is_original(session: Session, key: str) -> bool:
    """Return whether the object is an image, also one that was ingested just now."""
    sha256 = key.removeprefix("sha256/").replace("/", "")
    return session.scalar(select(Image.id).where(Image.sha256 == sha256)) is not None
