"""The whole stack under kill -9 and FLUSHALL: every image ends done, each once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.stack
def test_every_image_ends_done_under_random_faults(home: Path) -> None:
    options = {"--images": 12, "--every": 10, "--timeout": 240, "--home": home}
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.service.chaos", *(str(word) for pair in options.items() for word in pair)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    verdict = json.loads(run.stdout)
    assert verdict["events"]["restart postgres"] == 1
    assert sum(verdict["events"].values()) >= 2
    assert verdict["states"] == {"done": 12}
