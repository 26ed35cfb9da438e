"""What the embedded stack says when it cannot run."""

from __future__ import annotations

from pathlib import Path


class StackError(Exception):
    """The embedded stack cannot start or has lost a part for good; the message names the log and what it says."""


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log, indented, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16384))
            lines = file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        lines = []
    return "\n".join(f"    {line}" for line in lines) or "    (the log is empty)"
