"""Proposals in tiles that are composed of the chromosomes of a report."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the tiles are those of the segmenter's training, which needs the extra `train`")

from training.embedder.composites import read_composed
from training.embedder.data import ANY_CLASS, NO_CLASS


def test_tiles_have_whole_chromosomes_of_any_class_and_others_of_none(report: Path, tmp_path: Path) -> None:
    found = read_composed([report], 10, 1, cache=tmp_path, workers=1, log=lambda line: None)
    assert {ANY_CLASS, NO_CLASS} == set(found.class_index.tolist())
    whole, other = (found.canvas[found.class_index == k] for k in (ANY_CLASS, NO_CLASS))
    assert len(whole) > 20 < len(other)
    assert not found.upright.any()
