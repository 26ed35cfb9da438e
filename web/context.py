"""Settings and connections that all requests share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from db.engine import SessionFactory
from settings import Settings
from storage import ObjectStore


@dataclass(frozen=True, slots=True)
class Context:
    """Settings and connections of the application; they live as long as it does."""

    settings: Settings
    sessions: SessionFactory
    store: ObjectStore


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


InContext = Annotated[Context, Depends(_context)]
