"""What an operator asks first."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.schema import ACTIVE, ENDED, PRIORITIES, Analysis, Image


def overview(session: Session, errors: int = 10) -> dict[str, Any]:
    """What an operator asks first: analyses by state, what waits and since when, and the last errors."""
    counts = session.execute(select(Analysis.state, func.count()).group_by(Analysis.state)).all()
    waiting = session.execute(
        select(Analysis.priority, func.count(), func.extract("epoch", func.now() - func.min(Analysis.created_at)))
        .where(Analysis.state.in_(("pending", "queued")))
        .group_by(Analysis.priority)
        .order_by(Analysis.priority)
    ).all()
    last = session.execute(
        select(Image.file_name, Analysis.state, Analysis.reason, Analysis.error)
        .join(Image, Image.id == Analysis.image_id)
        .where(Analysis.reason.is_not(None))
        .order_by(Analysis.finished_at.desc().nulls_first())
        .limit(errors)
    ).all()
    names = {number: name for name, number in PRIORITIES.items()}
    by_state = dict(counts)
    return {
        "states": {state: by_state.get(state, 0) for state in (*ACTIVE, *ENDED)},
        "waiting": [
            {"priority": names.get(priority, str(priority)), "count": count, "oldest_seconds": round(float(age))}
            for priority, count, age in waiting
        ],
        "errors": [
            {"image": image, "state": state, "reason": reason, "sentence": sentence}
            for image, state, reason, sentence in last
        ],
    }
