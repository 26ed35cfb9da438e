"""Sudden death on purpose, so that a test can kill a process at an exact step of its work.

``KARYO_FAILPOINT=step`` kills the process with SIGKILL whenever it reaches ``failpoint("step")``;
``KARYO_FAILPOINT=step:subject`` only for that subject, such as a file name. With ``KARYO_FAILPOINT_ONCE=FILE`` it dies
only if it can remove FILE, so that a file buys exactly one death however many processes run. With
``KARYO_FAILPOINTS=FOLDER`` every file in FOLDER buys one death at the step that it is named after, at any time.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path


def failpoint(step: str, subject: str = "") -> None:
    """Die here if the environment says so; otherwise do nothing."""
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
    """Whether this call, and no other, removed the file."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True
