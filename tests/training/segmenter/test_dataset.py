"""Simulated samples: reproducible with any number of workers, with exact masks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from training.segmenter.dataset import SimulatedSamples
from training.segmenter.render import render_sample
from training.segmenter.sample import AXIS_POINTS, Sample, orient
from training.segmenter.sources import ChromosomeSource


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory, write_report: Callable[[Path, int], Path]) -> ChromosomeSource:
    return ChromosomeSource([write_report(tmp_path_factory.mktemp("reports") / "bars.zip", 5)], drawn=4)


@pytest.fixture(scope="module")
def drawn(reports: ChromosomeSource) -> list[Sample]:
    return [render_sample(seed, reports) for seed in range(12)]


def same(one: Sample, other: Sample) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("stain", "masks", "axes"))


def test_a_seed_gives_one_sample(reports: ChromosomeSource, drawn: list[Sample]) -> None:
    assert same(render_sample(5, reports), drawn[5])
    assert not same(drawn[4], drawn[5])


def test_samples_have_the_shapes_of_the_network(drawn: list[Sample]) -> None:
    for sample in drawn:
        assert sample.stain.shape == (256, 256)
        assert sample.stain.dtype == np.float32
        assert 0 <= sample.stain.min() <= sample.stain.max() <= 2
        assert sample.masks.shape == (len(sample.axes), 256, 256)
        assert sample.axes.shape[1:] == (AXIS_POINTS, 2)
    assert np.mean([len(sample.masks) for sample in drawn]) > 8


def test_masks_cover_the_stain_and_some_overlap(drawn: list[Sample]) -> None:
    """Compare the brightness of background, chromosomes and overlaps over all samples."""
    deep = [sample.masks.sum(axis=0) for sample in drawn]
    none, one, more = (
        np.mean(np.concatenate([s.stain[d == n] for s, d in zip(drawn, deep, strict=True)])) for n in (0, 1, 2)
    )
    assert none < 0.4 * one
    assert more > 1.2 * one
    assert sum(int((d > 1).sum()) for d in deep) > 500


def test_axes_run_along_their_masks(drawn: list[Sample]) -> None:
    on = []
    for sample in drawn:
        for axis, mask in zip(sample.axes, sample.masks, strict=True):
            x, y = np.round(axis).astype(int).T
            inside = (x >= 0) & (x < 256) & (y >= 0) & (y < 256)
            if inside.all():
                on.append(mask[y, x].mean())
    assert np.mean(on) > 0.9


def test_orient_turns_stain_masks_and_axes_alike(draw_toy: Callable[..., Sample]) -> None:
    sample = draw_toy(3, pairs=1, singles=2)
    seen = set()
    for turn in range(8):
        other = orient(sample, turn)
        seen.add(other.stain.tobytes())
        for axis, mask in zip(other.axes, other.masks, strict=True):
            x, y = np.round(axis).astype(int).T
            assert mask[y, x].mean() > 0.9
        assert other.stain[other.masks[0]].sum() == pytest.approx(sample.stain[sample.masks[0]].sum(), rel=1e-4)
    assert len(seen) == 8


def test_samples_do_not_depend_on_workers_or_start() -> None:
    def first(start: int, workers: int) -> list[Sample]:
        return list(islice(SimulatedSamples([], seed=3, workers=workers, turns=2, block=2)(start), 3))

    assert all(same(a, b) for a, b in zip(first(2, 1)[1:], first(3, 2)[:2], strict=True))
