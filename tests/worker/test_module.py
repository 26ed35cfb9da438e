"""``python -m worker`` with settings that cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys


def test_wrong_settings_are_one_sentence() -> None:
    environment = {**os.environ, "KARYO_DATABASE_URL": "mysql://karyo:secret@host/karyo"}
    command = [sys.executable, "-m", "worker"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("the KARYO_* environment is not usable: ")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr
