"""Types of the queue: leases, results, and the delay before another attempt."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, DateTime, SQLColumnExpression, cast, func, null

from db.clock import interval

MAX_BACK_OFF_SECONDS = 600.0

UNLEASED: dict[str, Any] = {"lease_token": None, "lease_expires_at": None}
"""Column values of an analysis without a lease."""


@dataclass(frozen=True, slots=True)
class Leased:
    """An analysis that one worker alone may work on for as long as it extends the lease."""

    analysis_id: int
    image_id: int
    pipeline_id: int
    object_key: str
    file_name: str
    accession: str
    """Accession number of the case."""
    token: uuid.UUID
    """Fencing token: writes under any other token are rejected."""
    attempts: int
    """Attempts before this one."""
    pixels: int
    """Width times height of the image, according to its header."""
    suspect: bool
    """Whether to begin it alone: an attempt failed, or a process died with this image among others."""
    channel: str | None = None
    """Channel to analyse; None if none was chosen."""
    plane: int | None = None
    """Plane to analyse; None if none was chosen."""


@dataclass(frozen=True, slots=True)
class AnalysisResult:
    """Result of an analysis; ``chromosomes`` and ``qc`` are rows without ``analysis_id``."""

    seconds: float
    """Computing time."""
    iscn: str | None
    artefacts: Mapping[str, str]
    """Object keys by name."""
    chromosomes: Sequence[Mapping[str, Any]]
    qc: Mapping[str, Any]


def back_off(attempts: SQLColumnExpression[int], base_seconds: float) -> ColumnElement[Any]:
    """Return the SQL time before which an image is not tried again; exponential, with jitter.

    Args:
        attempts: attempts so far; the delay doubles with each.
        base_seconds: mean delay after the first attempt; 0 for none.
    """
    if base_seconds == 0:
        return cast(null(), DateTime(timezone=True))
    doubled = base_seconds * func.power(2, func.greatest(attempts, 1) - 1)
    return func.now() + interval(func.least(doubled, MAX_BACK_OFF_SECONDS) * (0.5 + func.random()))
