"""Claims: pending analyses become queued by priority, fairly among laboratories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from db.notify import notify_schedulers
from db.schema import Analysis, Priority, Queue, State

# Start-time fair queueing without weights (Goyal, Vin and Cheng 1996, section 2, DOI 10.1145/248156.248171). A lane's
# next image starts at the lane's virtual time, or at the queue's if that is later; the earliest start is claimed first.
# Only the first few images of each lane are read, so the cost grows with the number of laboratories, not of images.
_CLAIM = text(
    """
    WITH heads AS (
        SELECT head.id, lane.id AS lane_id, greatest(lane.served, :served) + head.place - 1 AS start
        FROM karyo.lanes lane CROSS JOIN LATERAL (
            SELECT id, row_number() OVER (ORDER BY round, id) AS place
            FROM karyo.analyses
            WHERE lane_id = lane.id AND state = 'pending' AND not_before IS NULL
            ORDER BY round, id
            LIMIT :room
        ) head
        WHERE lane.priority = :priority
        ORDER BY start, head.id
        LIMIT :room
    ), claimed AS (
        UPDATE karyo.analyses analysis SET state = 'queued', queued_at = now()
        FROM heads
        WHERE analysis.id = heads.id AND analysis.state = 'pending'
        RETURNING analysis.id, analysis.pipeline_id, analysis.round, heads.lane_id, heads.start
    ), lanes_served AS (
        UPDATE karyo.lanes lane SET served = latest.start + 1, round = greatest(lane.round, latest.round)
        FROM (SELECT lane_id, max(start) AS start, max(round) AS round FROM claimed GROUP BY lane_id) latest
        WHERE lane.id = latest.lane_id
    )
    SELECT id, pipeline_id, start FROM claimed ORDER BY start, id
    """
)

# A queue is refilled when it is at most half full: smaller claims would split the chunks. The count comes first, as it
# decides most often.
_CLAIMABLE = text(
    """
    SELECT queue.priority FROM karyo.queues queue
    WHERE queue.paused_at IS NULL AND CASE
        WHEN :max_queued < 2 * (
            SELECT count(*) FROM karyo.analyses WHERE state = 'queued' AND priority = queue.priority
        ) THEN false
        ELSE EXISTS (
            SELECT FROM karyo.lanes lane CROSS JOIN LATERAL (
                SELECT FROM karyo.analyses WHERE lane_id = lane.id AND state = 'pending' AND not_before IS NULL LIMIT 1
            ) head
            WHERE lane.priority = queue.priority
        )
    END
    ORDER BY queue.priority
    """
)


class Claimed(NamedTuple):
    """An analysis that is queued and must be published."""

    analysis_id: int
    pipeline_id: int


def claimable(session: Session, max_queued: int) -> list[Priority]:
    """Return the priorities with claimable analyses, the most urgent first; lock nothing.

    Args:
        session: an open transaction.
        max_queued: most queued analyses of one priority.
    """
    return [Priority(number) for number in session.scalars(_CLAIMABLE, {"max_queued": max_queued})]


def claim(session: Session, priority: Priority, limit: int, max_queued: int) -> list[Claimed]:
    """Queue pending analyses of one priority and return them in running order.

    Nothing is claimed while the queue is paused or more than half full: small claims would split the chunks.
    Concurrent schedulers wait for each other, so together they never exceed ``max_queued``.

    Args:
        session: an open transaction.
        priority: the queue.
        limit: most analyses to claim.
        max_queued: most queued analyses of this priority.
    """
    queue = session.get(Queue, priority, with_for_update=True, populate_existing=True)
    if queue is None or queue.paused_at is not None:
        return []
    at_broker = select(func.count()).where(Analysis.state == State.QUEUED, Analysis.priority == priority)
    queued = session.scalars(at_broker).one()
    room = min(limit, max_queued - queued)
    if room <= 0 or 2 * queued > max_queued:
        return []
    claimed = session.execute(_CLAIM, {"priority": int(priority), "served": queue.served, "room": room}).all()
    if claimed:
        queue.served = claimed[-1].start
    return [Claimed(row.id, row.pipeline_id) for row in claimed]


def unclaim(session: Session, analysis_ids: Sequence[int]) -> int:
    """Return analyses that could not be published to pending; the number of those still queued."""
    unpublished = update(Analysis).where(Analysis.id.in_(analysis_ids), Analysis.state == State.QUEUED)
    back = unpublished.values(state=State.PENDING, queued_at=None).returning(Analysis.id)
    return len(session.scalars(back).all())


def pause(session: Session, priorities: Sequence[Priority], by: str) -> int:
    """Pause queues and return their queued analyses to pending; leased ones go on.

    Args:
        session: an open transaction.
        priorities: the queues.
        by: who pauses, for ``karyo status``.

    Returns:
        The number of analyses that were queued.
    """
    running = update(Queue).where(Queue.priority.in_(priorities), Queue.paused_at.is_(None))
    session.execute(running.values(paused_at=func.now(), paused_by=by))
    queued = update(Analysis).where(Analysis.state == State.QUEUED, Analysis.priority.in_(priorities))
    back = queued.values(state=State.PENDING, queued_at=None).returning(Analysis.id)
    return len(session.scalars(back).all())


def resume(session: Session, priorities: Sequence[Priority]) -> int:
    """Resume queues and return how many of them were paused."""
    paused = update(Queue).where(Queue.priority.in_(priorities), Queue.paused_at.is_not(None))
    resumed = session.scalars(paused.values(paused_at=None, paused_by=None).returning(Queue.priority)).all()
    notify_schedulers(session)
    return len(resumed)
