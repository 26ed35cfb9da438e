"""The benchmark of the cost of telemetry prints positive costs."""

from __future__ import annotations

import subprocess
import sys


def test_the_cost_of_telemetry_is_measured() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.service.telemetry_cost", "20"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in run.stdout.splitlines() if "|" in line][2:]
    assert rows[0][0] == "metrics and log ids"
    assert all(float(row[1]) > 0 for row in rows)
