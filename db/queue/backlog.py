"""How much has not ended, and how long it has been waiting: small aggregates for whoever watches the queue."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, func, literal, literal_column, select, union_all
from sqlalchemy.orm import Session

from db.schema import PRIORITIES, Analysis, Lane

NAMES = {number: name for name, number in PRIORITIES.items()}


class Waiting(NamedTuple):
    """Analyses of one state and priority."""

    state: str
    priority: str
    analyses: int
    oldest_seconds: float
    """Since the oldest of them was asked for."""


def backlog(session: Session) -> list[Waiting]:
    """What is pending, queued and running.

    One small query per partial index, because each is answered by its index alone, whatever has ended.
    """
    parts = union_all(
        _ready(),
        _counted("pending", Analysis.not_before.is_not(None)),
        _counted("queued"),
        _counted("running"),
    ).subquery()
    groups = (
        select(parts.c.state, parts.c.priority, func.sum(parts.c.images).label("images"), func.min(parts.c.first))
        .group_by(parts.c.state, parts.c.priority)
        .subquery()
    )
    age = func.extract("epoch", func.now() - Analysis.created_at)
    columns = (groups.c.state, groups.c.priority, groups.c.images, age)
    rows = session.execute(
        select(*columns).join(Analysis, Analysis.id == groups.c[3]).order_by(groups.c.state, groups.c.priority)
    )
    return [
        Waiting(state, NAMES.get(number, str(number)), int(images), float(old)) for state, number, images, old in rows
    ]


def _state(name: str) -> ColumnElement[bool]:
    return Analysis.state == literal_column(f"'{name}'")  # a parameter would hide the index from the planner


def _ready() -> Select[str, int, int, int]:
    """What may be handed out, counted by lane as its index has it."""
    lanes = (
        select(Analysis.lane_id, func.count().label("images"), func.min(Analysis.id).label("first"))
        .where(_state("pending"), Analysis.not_before.is_(None))
        .group_by(Analysis.lane_id)
        .subquery()
    )
    columns = (literal("pending").label("state"), Lane.priority.label("priority"), lanes.c.images, lanes.c.first)
    return select(*columns).join(Lane, Lane.id == lanes.c.lane_id)


def _counted(state: str, *conditions: ColumnElement[bool]) -> Select[str, int, int, int]:
    columns = (literal(state), Analysis.priority, func.count(), func.min(Analysis.id))
    return select(*columns).where(_state(state), *conditions).group_by(Analysis.priority)
