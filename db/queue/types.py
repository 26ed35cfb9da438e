"""What the queue speaks of: leases, results, and time, which is the database's."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, DateTime, SQLColumnExpression, cast, func, null

LONGEST_BACK_OFF_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Leased:
    """An analysis that this worker alone may work on, for as long as it extends the lease."""

    analysis_id: int
    image_id: int
    pipeline_id: int
    object_key: str
    file_name: str
    accession: str
    """Of the case."""
    token: uuid.UUID
    attempts: int
    """Attempts begun before this one."""
    pixels: int
    """Of the image, according to its header."""
    suspect: bool
    """An earlier attempt failed, or its process died with this image among others in hand: to be begun alone."""


@dataclass(frozen=True, slots=True)
class AnalysisResult:
    """What finishes an analysis: rows for ``chromosomes`` and ``qc_metrics`` without their ``analysis_id``."""

    seconds: float
    iscn: str
    artefacts: Mapping[str, str]
    chromosomes: Sequence[Mapping[str, Any]]
    qc: Mapping[str, Any]


def seconds(value: float | ColumnElement[Any]) -> ColumnElement[Any]:
    """An interval."""
    return func.make_interval(0, 0, 0, 0, 0, 0, value)


def back_off(attempts: SQLColumnExpression[int], base_seconds: float) -> ColumnElement[Any]:
    """When an image may be tried again after that many attempts: ever later, and never all at the same time."""
    if base_seconds == 0:
        return cast(null(), DateTime(timezone=True))
    doubled = base_seconds * func.power(2, func.greatest(attempts, 1) - 1)
    return func.now() + seconds(func.least(doubled, LONGEST_BACK_OFF_SECONDS) * (0.5 + func.random()))


FREE: dict[str, Any] = {"lease_token": None, "lease_expires_at": None}
"""Values of an analysis that nobody holds."""
