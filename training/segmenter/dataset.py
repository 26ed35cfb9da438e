"""Training samples of the segmenter: tiles of simulated metaphases, composed of single chromosomes.

Nobody draws a mask: chromosomes that a karyotype report shows one by one are laid beside and across each other, and the
microscope is simulated after them (KaryoXpert, Chen et al. 2024, section 3.2.3).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.segmentation.instance_decoding import TRAINING_TILE_SIDE
from training.segmenter.render import render_sample
from training.segmenter.sample import Sample, orient
from training.segmenter.sources import ChromosomeSource

_AHEAD = 16
"""Jobs that each worker has before it."""
_BUNDLE = 4
"""Fields to a job."""


class SimulatedSamples:
    """The fields of a seed, rendered ahead by worker processes: ``fields(start)`` yields them from the n-th on.

    Their order and contents do not depend on the number of workers. Each of a ``block`` is given ``turns`` times, each
    time in another orientation: rendering a field costs as much as training on it.
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
        self._material = tuple(reports), held_out, dict(cases or {})
        self._seed, self._workers, self._turns, self._block = seed, workers, turns, block

    def __call__(self, start: int) -> Iterator[Sample]:
        """Fields without end, from number ``start`` on."""
        number, given = divmod(start, self._block * self._turns)
        rendered = self._rendered(self._seed * 1_000_000_007 + number * self._block)
        while True:
            block = list(islice(rendered, self._block))
            rng = np.random.default_rng((self._seed, number))
            order = np.concatenate([rng.permutation(self._block) for _ in range(self._turns)])
            first = rng.integers(8, size=self._block)
            for k in range(given, len(order)):
                field, packed = block[order[k]]
                masks = np.unpackbits(packed, axis=-1).astype(bool)
                # Three is coprime to eight: no orientation comes twice.
                turn = int(first[order[k]] + 3 * (k // self._block)) % 8
                yield orient(Sample(field.stain, masks, field.axes), turn)
            number, given = number + 1, 0

    def _rendered(self, first: int) -> Iterator[tuple[Sample, NDArray[np.uint8]]]:
        """The fields of the seeds from ``first`` on, and their packed masks."""
        # Spawned, as a process in which torch has started threads must not be forked.
        with ProcessPoolExecutor(
            self._workers, get_context("spawn"), initializer=_prepare, initargs=self._material
        ) as pool:
            waiting: deque[Future[list[tuple[Sample, NDArray[np.uint8]]]]] = deque()
            try:
                while True:
                    while len(waiting) < _AHEAD * self._workers:
                        waiting.append(pool.submit(_render, first))
                        first += _BUNDLE
                    yield from waiting.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


_reports: list[ChromosomeSource] = []


def _prepare(paths: Sequence[Path], held_out: bool, cases: Mapping[str, Sequence[str]]) -> None:
    cv2.setNumThreads(1)
    _reports[:] = [ChromosomeSource(paths, held_out=held_out, cases=cases)]


def _render(first: int) -> list[tuple[Sample, NDArray[np.uint8]]]:
    fields = [render_sample(seed, _reports[0]) for seed in range(first, first + _BUNDLE)]
    nothing = np.zeros((0, TRAINING_TILE_SIDE, TRAINING_TILE_SIDE), bool)
    return [(Sample(f.stain, nothing, f.axes), np.packbits(f.masks, axis=-1)) for f in fields]
