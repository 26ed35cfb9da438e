"""What should run when: dispatch, recovery of lost work, summaries that are due, campaigns by the clock."""

from scheduler.service import Publisher, main, run

__all__ = ["Publisher", "main", "run"]
