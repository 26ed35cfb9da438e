"""Sizes and ages of the active analyses: small aggregates for monitoring."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, literal, literal_column, select, union_all
from sqlalchemy.orm import Session

from db.clock import seconds_since
from db.schema import Analysis, Lane, Priority, State, StateType


@dataclass(frozen=True, slots=True)
class BacklogGroup:
    """Active analyses of one state and priority."""

    state: State
    priority: Priority
    analyses: int
    oldest_seconds: float
    """Age of the oldest analysis."""


def backlog(session: Session) -> list[BacklogGroup]:
    """Return the pending, queued and running analyses by state and priority.

    Each part is one query that a partial index answers alone, whatever the number of ended analyses.
    """
    parts = union_all(
        _ready(),
        _counted(State.PENDING, Analysis.not_before.is_not(None)),
        _counted(State.QUEUED),
        _counted(State.RUNNING),
    ).subquery()
    groups = (
        select(parts.c.state, parts.c.priority, func.sum(parts.c.images).label("images"), func.min(parts.c.first))
        .group_by(parts.c.state, parts.c.priority)
        .subquery()
    )
    columns = (groups.c.state, groups.c.priority, groups.c.images, seconds_since(Analysis.created_at))
    rows = session.execute(
        select(*columns).join(Analysis, Analysis.id == groups.c[3]).order_by(groups.c.state, groups.c.priority)
    )
    return [BacklogGroup(state, priority, int(images), float(age)) for state, priority, images, age in rows]


def _has_state(state: State) -> ColumnElement[bool]:
    return Analysis.state == literal_column(f"'{state}'")  # a parameter would hide the partial index from the planner


def _ready() -> Select[State, Priority, int, int]:
    """Count the claimable analyses by lane, as their index orders them."""
    lanes = (
        select(Analysis.lane_id, func.count().label("images"), func.min(Analysis.id).label("first"))
        .where(_has_state(State.PENDING), Analysis.not_before.is_(None))
        .group_by(Analysis.lane_id)
        .subquery()
    )
    state = literal(State.PENDING, StateType).label("state")
    columns = (state, Lane.priority.label("priority"), lanes.c.images, lanes.c.first)
    return select(*columns).join(Lane, Lane.id == lanes.c.lane_id)


def _counted(state: State, *conditions: ColumnElement[bool]) -> Select[State, Priority, int, int]:
    columns = (literal(state, StateType), Analysis.priority, func.count(), func.min(Analysis.id))
    return select(*columns).where(_has_state(state), *conditions).group_by(Analysis.priority)
