"""A benchmark run as its user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_benchmark(module: str, *words: object) -> str:
    """Return what ``python -m benchmarks.MODULE WORDS`` prints; a failure shows its errors."""
    run = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
