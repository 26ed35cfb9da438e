"""Work goes out to the broker: strictly by priority, fairly inside one, never more than the broker should hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from db.notify import ring
from db.schema import Analysis, Queue

# Start-time fair queueing (Goyal, Vin and Cheng 1996), without weights. A lane's next image starts at the lane's own
# time, or at the queue's if the lane was idle meanwhile; the earliest start goes first. Every lane is asked for its
# first few images only, so the cost depends on the number of laboratories and not on the number of images that wait.
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


# Never more than half full, as small claims would crumble the chunks. The count comes first, for it is seldom in vain.
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
    """An analysis that is to be published."""

    analysis_id: int
    pipeline_id: int


def claimable(session: Session, max_queued: int) -> list[int]:
    """Priorities of which ``claim`` would find something now, the most urgent first. Locks nothing."""
    return list(session.scalars(_CLAIMABLE, {"max_queued": max_queued}))


def claim(session: Session, priority: int, limit: int, max_queued: int) -> list[Claimed]:
    """Take up to ``limit`` pending analyses of one queue, in the order they should run.

    Nothing is taken while the queue is paused, or while more than half of ``max_queued`` are with the broker: many
    small claims would crumble the chunks. Of schedulers that claim at once each waits for the one before it, so that
    together they never exceed ``max_queued``.
    """
    queue = session.get(Queue, priority, with_for_update=True, populate_existing=True)
    if queue is None or queue.paused_at is not None:
        return []
    at_broker = select(func.count()).where(Analysis.state == "queued", Analysis.priority == priority)
    queued = session.scalars(at_broker).one()
    room = min(limit, max_queued - queued)
    if room <= 0 or 2 * queued > max_queued:
        return []
    found = session.execute(_CLAIM, {"priority": priority, "served": queue.served, "room": room}).all()
    if found:
        queue.served = found[-1].start
    return [Claimed(row.id, row.pipeline_id) for row in found]


def unclaim(session: Session, analysis_ids: Sequence[int]) -> int:
    """Give back what was claimed and could not be published; how many were still queued."""
    back = update(Analysis).where(Analysis.id.in_(analysis_ids), Analysis.state == "queued")
    return len(session.scalars(back.values(state="pending", queued_at=None).returning(Analysis.id)).all())


def pause(session: Session, priorities: Sequence[int], by: str) -> int:
    """Hand out nothing more of these queues, and take back what no worker has taken yet; how many that were.

    Images that a worker holds are finished.
    """
    held = update(Queue).where(Queue.priority.in_(priorities), Queue.paused_at.is_(None))
    session.execute(held.values(paused_at=func.now(), paused_by=by))
    back = update(Analysis).where(Analysis.state == "queued", Analysis.priority.in_(priorities))
    return len(session.scalars(back.values(state="pending", queued_at=None).returning(Analysis.id)).all())


def resume(session: Session, priorities: Sequence[int]) -> int:
    """Hand out these queues again; how many of them were paused."""
    paused = update(Queue).where(Queue.priority.in_(priorities), Queue.paused_at.is_not(None))
    resumed = session.scalars(paused.values(paused_at=None, paused_by=None).returning(Queue.priority)).all()
    ring(session)
    return len(resumed)
