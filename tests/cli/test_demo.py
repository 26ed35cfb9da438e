"""``karyo demo``, a newcomer's first command: three simulated cases through every service."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.demo import CASES
from tests.support.command_line import call_karyo

pytestmark = pytest.mark.stack


def test_the_cases_come_out_as_they_were_simulated(tmp_path: Path) -> None:
    done = call_karyo(tmp_path / "home", "demo", "--out", tmp_path / "report")
    assert done.stdout.count("agrees") == len(CASES)
    assert (tmp_path / "report" / "report.html").exists()
