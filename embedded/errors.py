"""Errors of the embedded stack and the log excerpts that they quote."""

from __future__ import annotations

from pathlib import Path

MAX_EXCERPT_BYTES = 16384  # bytes read from the end of a log


class StackError(Exception):
    """The embedded stack cannot start, or a process failed for good; the message quotes its log."""


class HomeUnusable(StackError):
    """KARYO_HOME cannot hold the stack."""


def last_lines(log: Path, count: int = 12) -> str:
    """Return the last ``count`` lines of a log, indented, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - MAX_EXCERPT_BYTES))
            lines = file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        lines = []
    return "\n".join(f"    {line}" for line in lines) or "    (the log is empty)"
