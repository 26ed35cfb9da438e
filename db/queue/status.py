"""What an operator asks first."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from db import workers
from db.queue.backlog import NAMES, backlog
from db.queue.throughput import throughput
from db.schema import ACTIVE, ENDED, Analysis, Image, Queue


def overview(session: Session, errors: int = 10) -> dict[str, Any]:
    """How much there is of everything, how fast it goes, who does it, what is held back, and what went wrong last.

    ``seconds_left`` is that of everything which waits or runs at the pace of the last minutes; None if nothing ended.
    """
    counts = dict(session.execute(select(Analysis.state, func.count()).group_by(Analysis.state)).all())
    active = backlog(session)
    pace = throughput(session)
    left = sum(one.analyses for one in active)
    return {
        "states": {state: counts.get(state, 0) for state in (*ACTIVE, *ENDED)},
        "waiting": _waiting([one for one in active if one.state != "running"]),
        "paused": _paused(session),
        "images_per_minute": None if pace is None else round(60 * pace, 1),
        "seconds_left": 0 if not left else (round(left / pace) if pace else None),
        "workers": [worker._asdict() for worker in workers.listing(session)],
        "errors": _errors(session, errors),
    }


def _paused(session: Session) -> list[dict[str, Any]]:
    paused = session.scalars(select(Queue).where(Queue.paused_at.is_not(None)).order_by(Queue.priority))
    return [{"priority": NAMES[one.priority], "since": one.paused_at, "by": one.paused_by} for one in paused]


def _waiting(rows: list[Any]) -> list[dict[str, Any]]:
    by_priority: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_priority[row.priority].append(row)
    return [
        {
            "priority": priority,
            "count": sum(row.analyses for row in by_priority[priority]),
            "oldest_seconds": round(max(row.oldest_seconds for row in by_priority[priority])),
        }
        for priority in sorted(by_priority, key=list(NAMES.values()).index)
    ]


def _errors(session: Session, count: int) -> list[dict[str, Any]]:
    """The last analyses that ended badly, and those that wait for another attempt."""
    columns = (Image.file_name, Analysis.state, Analysis.reason, Analysis.error, Analysis.id)
    of_image = select(*columns).join(Image, Image.id == Analysis.image_id)
    repeated = of_image.where(
        Analysis.state == "pending", Analysis.not_before.is_not(None), Analysis.reason.is_not(None)
    )
    badly = text("analyses.state IN ('failed', 'quarantined')")  # in full, as their index has it
    ended = of_image.where(badly)
    found = [
        *session.execute(repeated.order_by(Analysis.not_before).limit(count)),
        *session.execute(ended.order_by(Analysis.finished_at.desc()).limit(count)),
    ]
    return [
        {"image": image, "state": state, "reason": reason, "sentence": sentence, "analysis": analysis_id}
        for image, state, reason, sentence, analysis_id in found[:count]
    ]
