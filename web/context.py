"""What a request needs of its application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from db.engine import SessionFactory
from settings import Settings
from storage import ObjectStore


@dataclass(frozen=True, slots=True)
class Context:
    """Lives as long as the application."""

    settings: Settings
    sessions: SessionFactory
    store: ObjectStore


def _context(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


InContext = Annotated[Context, Depends(_context)]
