"""Metaphase images and chromosomes simulated per second on one core.

    python -m benchmarks.speed.simulation_speed [CELLS]

Measures the CPU time of ``CELLS`` images (default: 20) of each contrast.

Output: a table with a row for each contrast.
"""

from __future__ import annotations

import sys
import time

import cv2

from karyotyping.nomenclature.classes import NORMAL_COUNT
from training.simulation import simulate


def main(cells: int) -> None:
    """Measure ``cells`` images of each contrast, on one thread."""
    cv2.setNumThreads(1)
    simulate("46,XX", seed=0)
    print(f"{'contrast':<14}{'metaphases/s':>14}{'chromosomes/s':>15}")
    for contrast in ("bright_field", "fluorescence"):
        start = time.process_time()
        for seed in range(cells):
            simulate("46,XX", seed=seed, contrast=contrast, touching=4, overlapping=4)  # type: ignore[arg-type]
        rate = cells / (time.process_time() - start)
        print(f"{contrast:<14}{rate:>14.2f}{NORMAL_COUNT * rate:>15.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
