"""Training samples of the segmenter: tiles composed of single chromosomes.

Masks need no annotator: single chromosomes of karyotype reports are placed apart, touching and overlapping, and the
microscope is simulated (KaryoXpert, Chen et al. 2024, section 3.2.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, count, islice
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from concurrency import map_ahead
from karyotyping.segmentation.instance_decoding import TRAINING_TILE_SIDE
from training.segmenter.render import render_sample
from training.segmenter.sample import Sample, orient
from training.segmenter.sources import ChromosomeSource

_JOBS_AHEAD = 16  # jobs waiting for each worker
_JOB_SIZE = 4  # samples rendered by a job


class SimulatedSamples:
    """Stream of simulated samples, rendered ahead by worker processes.

    Order and contents do not depend on the number of workers. Rendering a sample costs as much as training on it, so
    each is used in several orientations.

    Args:
        reports: karyotype reports; chromosomes are drawn from ideograms, too.
        seed: seed of the samples.
        held_out: take the held-out cells of the reports instead of the training cells.
        workers: processes to render with.
        cases: cases to take cells from, by file name of the report.
        turns: orientations of each sample, at most eight.
        block: samples that are shuffled together, in all their orientations.
    """

    def __init__(
        self,
        reports: Sequence[Path],
        *,
        seed: int,
        held_out: bool = False,
        workers: int = 1,
        cases: Mapping[str, Sequence[str]] | None = None,
        turns: int = 4,
        block: int = 64,
    ) -> None:
        self._source = tuple(reports), held_out, dict(cases or {})
        self._seed, self._workers, self._turns, self._block = seed, workers, turns, block

    def __call__(self, start: int) -> Iterator[Sample]:
        """Yield samples without end, from number ``start`` on."""
        number, first = divmod(start, self._block * self._turns)
        rendered = self._rendered(self._seed * 1_000_000_007 + number * self._block)
        while True:
            block = list(islice(rendered, self._block))
            rng = np.random.default_rng((self._seed, number))
            order = np.concatenate([rng.permutation(self._block) for _ in range(self._turns)])
            turn_of = rng.integers(8, size=self._block)
            for k in range(first, len(order)):
                sample, packed = block[order[k]]
                masks = np.unpackbits(packed, axis=-1).astype(bool)
                # Three is coprime to eight: no orientation repeats.
                turn = int(turn_of[order[k]] + 3 * (k // self._block)) % 8
                yield orient(Sample(sample.stain, masks, sample.axes), turn)
            number, first = number + 1, 0

    def _rendered(self, first: int) -> Iterator[tuple[Sample, NDArray[np.uint8]]]:
        """Return the samples of the seeds from ``first`` on without masks, and their packed masks."""
        # Spawned: a process with threads of torch must not be forked.
        processes = ProcessPoolExecutor(
            self._workers, get_context("spawn"), initializer=_prepare, initargs=self._source
        )
        jobs = map_ahead(processes, _render, count(first, _JOB_SIZE), ahead=_JOBS_AHEAD * self._workers)
        return chain.from_iterable(jobs)


_sources: list[ChromosomeSource] = []
"""Source of this worker process."""


def _prepare(paths: Sequence[Path], held_out: bool, cases: Mapping[str, Sequence[str]]) -> None:
    cv2.setNumThreads(1)
    _sources[:] = [ChromosomeSource(paths, held_out=held_out, cases=cases)]


def _render(first: int) -> list[tuple[Sample, NDArray[np.uint8]]]:
    samples = [render_sample(seed, _sources[0]) for seed in range(first, first + _JOB_SIZE)]
    no_masks = np.zeros((0, TRAINING_TILE_SIDE, TRAINING_TILE_SIDE), bool)
    return [(Sample(one.stain, no_masks, one.axes), np.packbits(one.masks, axis=-1)) for one in samples]
