"""Real worker whose pipeline detects two chromosomes in every image, without science."""

from __future__ import annotations

import ctypes
import datetime
import os
import resource
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from karyotyping.model import AnalysisError, CellAnalysis, Chromosome, Quality, encode_mask
from models.registry import ModelUnavailable
from settings import Settings
from worker.main import main


def segfault() -> None:
    """Read from address 0."""
    ctypes.string_at(0)


def hit_the_limit() -> None:
    """Allocate more memory than this process may have."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms, limits[1]))
    try:
        np.ones(MANY)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def be_killed_by_the_kernel() -> None:
    """Allocate more memory than the control group ``CONTROL_GROUP`` has."""
    Path(os.environ["CONTROL_GROUP"], "cgroup.procs").write_text(str(os.getpid()))
    np.ones(MANY)


MANY = 2**25  # values of 8 bytes
FAULT_VALUE = 9  # grey value of an image that triggers the fault of the pipeline
FAULTS = {
    "hang": lambda: time.sleep(3600),
    "hang in native code": lambda: ctypes.PyDLL(None).sleep(3600),
    "segfault": segfault,
    "hit the limit": hit_the_limit,
    "be killed by the kernel": be_killed_by_the_kernel,
}
"""Faults by name. Native code that hangs holds Python's lock meanwhile."""


class NullPipeline:
    """Pipeline with the parameters ``seconds`` per image and ``fault``, a name of ``FAULTS``."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters

    def analyse_batch(self, images: Sequence[NDArray[Any]]) -> list[CellAnalysis | AnalysisError]:
        """Return two chromosomes for every image, or its error."""
        return [self._analyse(pixels) for pixels in images]

    def _analyse(self, pixels: NDArray[Any]) -> CellAnalysis | AnalysisError:
        time.sleep(self._parameters.get("seconds", 0))
        if pixels.max() == 0:
            return AnalysisError("no_chromosomes", "The image is black.")
        if pixels.max() == FAULT_VALUE:
            FAULTS[self._parameters["fault"]]()
        if pixels.min() == pixels.max():
            raise ArithmeticError("a flat image")
        mask = np.zeros(pixels.shape, bool)
        mask[4:20, 4:8] = True
        pair = tuple(
            Chromosome(
                ordinal=ordinal,
                box=(4, 4, 4, 16),
                mask=encode_mask(mask),
                score=0.9,
                class_id=1,
                class_score=0.8,
                top5=((1, 0.8), (2, 0.1)),
                length=16.0,
                width=4.0,
                centromere_index=0.4,
                orientation="p_up",
                straightened=np.full((16, 4), 100, np.uint8),
                profile=np.zeros(64, np.float32),
                embedding=np.ones(4, np.float32),
            )
            for ordinal in range(2)
        )
        quality = Quality(2, "dark_on_light", 1, 0.5, 0.01, 0.01, 2, 4, 0, 0, 0, 0, 0, 0, 0.8, 0.7)
        return CellAnalysis((pixels.shape[0], pixels.shape[1]), pair, quality, "2,+1")


def load(document: Mapping[str, Any], engine: str) -> NullPipeline:
    """Return the pipeline of a document; the engine does not matter."""
    if missing := document["models"]:
        raise ModelUnavailable(f"no weights {missing}")
    return NullPipeline(document["parameters"])


def skew_clock(seconds: float) -> None:
    """Shift the clock of this process, and of those that it forks."""
    true_time, true_datetime = time.time, datetime.datetime

    class Skewed(true_datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Skewed:
            return cls.fromtimestamp(true_time() + seconds, tz)

    time.time = lambda: true_time() + seconds
    datetime.datetime = Skewed


def run(environment: Mapping[str, str], log: Path) -> None:
    """Run a worker in this process, in a session of its own.

    Args:
        environment: replaces that of this process.
        log: file of stdout and stderr.
    """
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    with log.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    skew_clock(float(os.environ.get("CLOCK_SKEW_SECONDS", "0")))
    main(Settings(), load=load)
