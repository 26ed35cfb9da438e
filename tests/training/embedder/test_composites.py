"""Proposals in tiles that are composed of the chromosomes of a report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the tiles are those of the segmenter's training, which needs the extra `train`")

from karyotyping.segmentation.contours import Contour
from training.embedder.composites import mask_iou, read_composed
from training.embedder.data import ANY_CLASS, NO_CLASS


def test_intersections_over_unions_of_masks_beyond_the_border() -> None:
    masks = np.zeros((2, 10, 10), bool)
    masks[0, :, :4] = True
    masks[1, :, 6:] = True
    region = Contour(np.ones((10, 4), bool), (-2, 0))
    np.testing.assert_allclose(mask_iou([region], masks), [[20 / 60, 0]])


def test_tiles_have_whole_chromosomes_of_any_class_and_others_of_none(report: Path, tmp_path: Path) -> None:
    found = read_composed([report], 10, 1, cache=tmp_path, workers=1, log=lambda line: None)
    assert {ANY_CLASS, NO_CLASS} == set(found.class_index.tolist())
    whole, other = (found.canvas[found.class_index == k] for k in (ANY_CLASS, NO_CLASS))
    assert len(whole) > 20 < len(other)
    assert not found.upright.any()
