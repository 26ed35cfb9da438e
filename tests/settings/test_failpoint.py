"""A failpoint kills at its step, for its subject, and only once on request."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest


def status(**environment: str) -> int:
    code = "from settings.failpoint import failpoint; failpoint('begun', 'a.png')"
    return subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode


@pytest.mark.parametrize(
    ("armed", "dies"),
    [("begun", True), ("begun:a.png", True), ("begun:b.png", False), ("stored", False), ("", False)],
)
def test_it_kills_at_its_step_and_for_its_subject(armed: str, dies: bool) -> None:
    assert status(KARYO_FAILPOINT=armed) == (-signal.SIGKILL if dies else 0)


def test_a_file_named_after_a_step_causes_one_death_there(tmp_path: Path) -> None:
    (tmp_path / "begun").touch()
    (tmp_path / "stored").touch()
    assert [status(KARYO_FAILPOINTS=str(tmp_path)) for _ in range(2)] == [-signal.SIGKILL, 0]
    assert [file.name for file in tmp_path.iterdir()] == ["stored"]


def test_a_file_causes_one_death(tmp_path: Path) -> None:
    once = tmp_path / "once"
    once.touch()
    environment = {"KARYO_FAILPOINT": "begun", "KARYO_FAILPOINT_ONCE": str(once)}
    assert [status(**environment) for _ in range(2)] == [-signal.SIGKILL, 0]
