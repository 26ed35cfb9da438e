"""Priorities: waiting analyses of a case move to another queue or lane."""

from __future__ import annotations

from typing import Any

from sqlalchemy import TextClause, select, text
from sqlalchemy.orm import Session

from db.notify import notify_schedulers
from db.queue.enqueue import IMAGES_PER_ROUND
from db.schema import Priority, Queue

_EXACT = "CAST(:priority AS smallint)"
_RAISED = "least(analysis.priority, CAST(:priority AS smallint))"


def _waiting(target: str) -> str:
    """Return the SQL of the analyses of a case that get the priority ``target``."""
    return f"""
        FROM karyo.analyses analysis
        JOIN karyo.images image ON image.id = analysis.image_id AND image.case_id = :case_id
        JOIN karyo.cases sample ON sample.id = image.case_id
        LEFT JOIN karyo.lanes lane ON lane.priority = {target} AND lane.lab = coalesce(sample.lab, '')
        WHERE (analysis.state = 'pending' AND lane.id IS DISTINCT FROM analysis.lane_id)
           OR (analysis.state = 'queued' AND {target} <> analysis.priority)
    """


def _statements(target: str) -> tuple[TextClause, TextClause, TextClause]:
    """Return the statements that look for analyses to move, insert their lanes, and move them."""
    waiting = _waiting(target)
    lanes = f"""
        INSERT INTO karyo.lanes (priority, lab) SELECT DISTINCT {target}, coalesce(sample.lab, '') {waiting}
        ORDER BY 1, 2 ON CONFLICT DO NOTHING
    """
    # An analysis that another transaction has locked is being leased or has ended. The delay of a failed attempt stays;
    # that of a campaign, paused or limited, ends.
    move = f"""
        WITH moved AS (
            SELECT analysis.id, lane.id AS lane_id, lane.priority, lane.round {waiting}
            ORDER BY analysis.id FOR UPDATE OF analysis SKIP LOCKED
        ), present AS (
            SELECT analysis.lane_id, count(*) AS images
            FROM karyo.analyses analysis JOIN karyo.images image ON image.id = analysis.image_id
            WHERE image.case_id = :case_id AND analysis.state = 'pending' GROUP BY 1
        ), placed AS (
            SELECT moved.*, coalesce(present.images, 0) + row_number() OVER (
                PARTITION BY moved.lane_id ORDER BY moved.id
            ) - 1 AS place
            FROM moved LEFT JOIN present USING (lane_id)
        )
        UPDATE karyo.analyses analysis
        SET priority = placed.priority, lane_id = placed.lane_id, round = placed.round + placed.place / :per_round,
            state = 'pending', queued_at = NULL,
            not_before = CASE WHEN analysis.reason IS NOT NULL AND analysis.not_before < now() + interval '1 day'
                              THEN analysis.not_before END
        FROM placed WHERE analysis.id = placed.id
        RETURNING analysis.id
    """
    return text(f"SELECT EXISTS (SELECT {waiting})"), text(lanes), text(move)


_SET, _RAISE = _statements(_EXACT), _statements(_RAISED)


def prioritise(session: Session, case_id: int, priority: Priority) -> int:
    """Set the priority of the pending and queued analyses of a case.

    Queued analyses become pending again, so that the broker gets them in their new order. A worker that still takes
    the former message leases what is queued by then, once.

    Args:
        session: an open transaction.
        case_id: the case.
        priority: of the analyses; those of workers go on.

    Returns:
        The number of analyses that had another priority.
    """
    return _move(session, _SET, case_id, priority)


def raise_priority(session: Session, case_id: int, priority: Priority = Priority.BACKLOG) -> int:
    """Raise waiting analyses of a case, and put them in the lane of its laboratory.

    Args:
        session: an open transaction.
        case_id: the case.
        priority: lowest priority that the analyses have afterwards; higher ones stay.

    Returns:
        The number of analyses that moved.
    """
    return _move(session, _RAISE, case_id, priority)


def _move(
    session: Session, statements: tuple[TextClause, TextClause, TextClause], case_id: int, priority: Priority
) -> int:
    needed, lanes, move = statements
    values: dict[str, Any] = {"case_id": case_id, "priority": int(priority)}
    if not session.scalar(needed, values):
        return 0
    # As `claim` does, so that neither waits for rows of the other. The weaker lock lets others insert lanes meanwhile.
    session.execute(select(Queue.priority).order_by(Queue.priority).with_for_update(key_share=True))
    session.execute(lanes, values)
    moved = session.scalars(move, values | {"per_round": IMAGES_PER_ROUND}).all()
    if moved:
        notify_schedulers(session)
    return len(moved)
