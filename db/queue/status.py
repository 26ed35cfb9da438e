"""Status of the queue: counts, speed, workers, pauses and the latest errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.orm import Session

from db.queue.backlog import BacklogGroup, backlog
from db.queue.throughput import throughput
from db.schema import Analysis, Image, Priority, Queue, State
from db.workers import ActiveWorker, list_active


@dataclass(frozen=True, slots=True)
class WaitingQueue:
    """Analyses of one priority that no worker has leased."""

    priority: str
    """Label of the priority."""
    count: int
    oldest_seconds: int


@dataclass(frozen=True, slots=True)
class PausedQueue:
    """A paused queue."""

    priority: str
    """Label of the priority."""
    since: datetime
    by: str | None


@dataclass(frozen=True, slots=True)
class AnalysisError:
    """A failed analysis, or one that waits for another attempt."""

    image: str
    """File name of the image."""
    state: State
    reason: str | None
    sentence: str | None
    analysis: int
    """Id of the analysis."""


@dataclass(frozen=True, slots=True)
class Overview:
    """Status of the queue for an operator; its fields are the keys of ``karyo status --json``."""

    states: dict[State, int]
    """Analyses by state; every state is a key."""
    waiting: list[WaitingQueue]
    paused: list[PausedQueue]
    images_per_minute: float | None
    """None if no image ended lately."""
    seconds_left: int | None
    """Of all active analyses at the present pace; None if no image ended lately."""
    workers: list[ActiveWorker]
    errors: list[AnalysisError]


def count_by_state(session: Session, *conditions: ColumnElement[bool]) -> Counter[State]:
    """Return the number of analyses in each state; absent states count 0.

    Args:
        session: an open transaction.
        conditions: what the analyses must fulfil.
    """
    counts = select(Analysis.state, func.count()).where(*conditions).group_by(Analysis.state)
    return Counter(dict(session.execute(counts).all()))


def overview(session: Session, errors: int = 10) -> Overview:
    """Return the status of the queue.

    Args:
        session: an open transaction.
        errors: most errors to list.
    """
    counts = count_by_state(session)
    active = backlog(session)
    pace = throughput(session)
    left = sum(group.analyses for group in active)
    return Overview(
        states={state: counts[state] for state in State},
        waiting=list(_waiting([group for group in active if group.state != State.RUNNING])),
        paused=_paused(session),
        images_per_minute=None if pace is None else round(60 * pace, 1),
        seconds_left=0 if not left else (round(left / pace) if pace else None),
        workers=list_active(session),
        errors=_errors(session, errors),
    )


def _paused(session: Session) -> list[PausedQueue]:
    queues = session.scalars(select(Queue).where(Queue.paused_at.is_not(None)).order_by(Queue.priority))
    return [PausedQueue(queue.priority.label, queue.paused_at, queue.paused_by) for queue in queues if queue.paused_at]


def _waiting(groups: Sequence[BacklogGroup]) -> Iterator[WaitingQueue]:
    for priority in Priority:
        if members := [group for group in groups if group.priority == priority]:
            oldest = max(group.oldest_seconds for group in members)
            yield WaitingQueue(priority.label, sum(group.analyses for group in members), round(oldest))


def _errors(session: Session, limit: int) -> list[AnalysisError]:
    """Return analyses that wait for another attempt, then the latest failures."""
    columns = (Image.file_name, Analysis.state, Analysis.reason, Analysis.error, Analysis.id)
    analyses = select(*columns).join(Image, Image.id == Analysis.image_id)
    repeated = analyses.where(
        Analysis.state == State.PENDING, Analysis.not_before.is_not(None), Analysis.reason.is_not(None)
    )
    # The condition is spelt as in the partial index, which the planner would not use otherwise.
    failed = analyses.where(text("analyses.state IN ('failed', 'quarantined')"))
    rows = [
        *session.execute(repeated.order_by(Analysis.not_before).limit(limit)),
        *session.execute(failed.order_by(Analysis.finished_at.desc()).limit(limit)),
    ]
    return [AnalysisError(*row) for row in rows[:limit]]
