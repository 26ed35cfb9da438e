"""Values that columns hold: states, priorities, kinds of batches, actions of reviews."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Literal, Self


class State(StrEnum):
    """State of an analysis: ``pending -> queued -> running -> done | failed | quarantined``."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    QUARANTINED = "quarantined"


ACTIVE = (State.PENDING, State.QUEUED, State.RUNNING)
ENDED = (State.DONE, State.FAILED, State.QUARANTINED)


class Priority(IntEnum):
    """Urgency of an analysis; lower numbers run first."""

    STAT = 0
    ROUTINE = 1
    BACKLOG = 2

    @property
    def label(self) -> str:
        """Name in options, manifests, JSON and metrics.

        >>> Priority.STAT.label
        'stat'
        """
        return self.name.lower()

    @classmethod
    def labels(cls) -> list[str]:
        """Return the labels of all priorities, the most urgent first.

        >>> Priority.labels()
        ['stat', 'routine', 'backlog']
        """
        return [priority.label for priority in cls]

    @classmethod
    def parse(cls, label: str) -> Self:
        """Return the priority with this label.

        Raises:
            ValueError: no priority has this label.

        >>> Priority.parse("backlog") == 2
        True
        """
        for priority in cls:
            if priority.label == label:
                return priority
        raise ValueError(f"{label!r} is not one of {', '.join(map(repr, cls.labels()))}")


BatchKind = Literal["folder", "archive", "manifest", "prefix", "upload"]
"""Kinds of sources that a batch of ingest is read from."""

ReviewAction = Literal["reclassify", "reject", "split", "merge", "flip", "add", "reject_cell", "comment", "undo"]
"""What a person does to the result of an analysis."""


class MissedPolicy(StrEnum):
    """What a schedule does with due times that passed while no scheduler ran."""

    LATEST = "latest"
    """Create one campaign, for the latest of them."""
    SKIP = "skip"
    """Wait for the next due time."""


class OverlapPolicy(StrEnum):
    """What a schedule does when it is due and its campaign before has not ended."""

    ALLOW = "allow"
    """Create the campaign; images that wait already are not enqueued twice."""
    WAIT = "wait"
    """Stay due until the campaign before has ended."""
    SKIP = "skip"
    """Wait for the next due time."""
