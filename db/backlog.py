"""How much has not ended, and how long it has been waiting: two small aggregates for whoever watches the queue."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import func, literal, literal_column, select, union_all
from sqlalchemy.orm import Session

from db.schema import ACTIVE, PRIORITIES, Analysis

_NAMES = {number: name for name, number in PRIORITIES.items()}


class Waiting(NamedTuple):
    """Analyses of one state and priority."""

    state: str
    priority: str
    analyses: int
    oldest_seconds: float
    """Since the oldest of them was asked for."""


def backlog(session: Session) -> list[Waiting]:
    """What is pending, queued and running.

    One small query per state, because each state has a partial index of its own, which answers it whatever has ended.
    """
    groups = union_all(
        *(
            select(
                literal(state).label("state"),
                Analysis.priority.label("priority"),
                func.count().label("count"),
                func.min(Analysis.id).label("first"),
            )
            .where(Analysis.state == literal_column(f"'{state}'"))  # a parameter would hide the index from the planner
            .group_by(Analysis.priority)
            for state in ACTIVE
        )
    ).subquery()
    age = func.extract("epoch", func.now() - Analysis.created_at)
    columns = (groups.c.state, groups.c.priority, groups.c["count"], age)
    rows = session.execute(
        select(*columns).join(Analysis, Analysis.id == groups.c.first).order_by(groups.c.state, groups.c.priority)
    )
    return [Waiting(state, _NAMES.get(number, str(number)), count, float(old)) for state, number, count, old in rows]
