"""Time of the database: intervals and ages in seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Interval, SQLColumnExpression, func


def interval(seconds: float | SQLColumnExpression[float]) -> ColumnElement[Interval]:
    """Return an SQL interval of ``seconds``."""
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def seconds_since(moment: SQLColumnExpression[datetime | None]) -> ColumnElement[Any]:
    """Return the SQL expression of the seconds since ``moment``."""
    return func.extract("epoch", func.now() - moment)
