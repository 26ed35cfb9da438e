"""``karyo run`` outlasts crashes of its database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from training.simulation import write_dataset

pytestmark = pytest.mark.stack

IMAGES = 2


def server_pid(home: Path) -> int:
    with suppress(FileNotFoundError, KeyError, json.JSONDecodeError):
        return int(json.loads((home / "run" / "state.json").read_text())["postgres"]["pid"])
    return 0


def test_a_run_waits_for_a_database_that_crashes_and_recovers(home: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "images", {"A-1": "46,XX"}, cells_per_case=IMAGES, seed=5)
    command = [sys.executable, "-m", "cli.main", "run", str(tmp_path / "images"), "--out", str(tmp_path / "report")]
    environment = os.environ | {"KARYO_HOME": str(home), "COLUMNS": "200"}
    killed: list[int] = []
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 120
        while len(killed) < 2 and running.poll() is None and time.monotonic() < deadline:
            pid = server_pid(home)
            if (home / "run" / "stack.json").exists() and pid and pid not in killed:
                time.sleep(0.8)  # the command is connected and works
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            time.sleep(0.05)
        _, errors = running.communicate(timeout=180)
    assert running.returncode == 0, errors
    assert f"{IMAGES} new, 0 known, 0 rejected; {IMAGES} done" in errors
    assert "waiting for the database" in errors
    assert len(killed) == 2
