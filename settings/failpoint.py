"""Failpoints: kill a process at an exact step of its work, for tests.

``KARYO_FAILPOINT=step`` kills the process with SIGKILL whenever it reaches ``failpoint("step")``.
``KARYO_FAILPOINT=step:subject`` does so only for that subject, such as a file name.

``KARYO_FAILPOINT_ONCE=FILE`` kills only a process that can remove FILE, so that one file causes one death however many
processes run. With ``KARYO_FAILPOINTS=FOLDER`` every file in FOLDER causes one death at the step of its name.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path


def failpoint(step: str, subject: str = "") -> None:
    """Kill this process if the environment names this step; otherwise do nothing."""
    if (folder := os.environ.get("KARYO_FAILPOINTS")) and _removed(Path(folder, step)):
        os.kill(os.getpid(), signal.SIGKILL)
    armed, _, wanted = os.environ.get("KARYO_FAILPOINT", "").partition(":")
    if armed != step or (wanted and wanted != subject):
        return
    once = os.environ.get("KARYO_FAILPOINT_ONCE")
    if once and not _removed(Path(once)):
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _removed(file: Path) -> bool:
    """Return whether this call, and no other, removed the file."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True
