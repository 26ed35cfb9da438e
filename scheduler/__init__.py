"""The scheduler: dispatch, recovery of lost work, case summaries, and campaigns."""

from scheduler.service import Publisher, main, run

__all__ = ["Publisher", "main", "run"]
