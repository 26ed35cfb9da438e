"""What the queue speaks of: leases, results, and time, which is the database's."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func


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


def seconds(value: float) -> ColumnElement[Any]:
    """An interval."""
    return func.make_interval(0, 0, 0, 0, 0, 0, value)


FREE: dict[str, Any] = {"lease_token": None, "lease_expires_at": None}
"""Values of an analysis that nobody holds."""
