"""How much there is of everything."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import queue
from db.schema import Case, Image, State
from web.context import InContext
from web.schemas import Schema

router = APIRouter(prefix="/status")


class Status(Schema):
    """Numbers of analyses by state, of cases and of images."""

    analyses: dict[State, int]
    cases: int
    images: int


@router.get("")
def status(context: InContext) -> Status:
    """Return the number of analyses in each state."""
    with context.sessions() as session:
        return read_status(session)


def read_status(session: Session) -> Status:
    """Count analyses by state, cases and images."""
    counts = queue.count_by_state(session)
    return Status(
        analyses={state: counts[state] for state in State},
        cases=session.scalar(select(func.count()).select_from(Case)) or 0,
        images=session.scalar(select(func.count()).select_from(Image)) or 0,
    )
