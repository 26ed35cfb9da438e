"""Candidates of several orientations: back in place, each once, scored by all of them."""

from __future__ import annotations

import numpy as np
import pytest

from karyotyping.image.orientation import ORIENTATIONS, orient_planes
from karyotyping.segmentation.agreement import AgreementParameters, agree, restore_candidate
from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.instance_decoding import Candidate

SHAPE = (40, 60)
PARAMETERS = AgreementParameters(same=0.6, duplicate=0.85, missed=0.05)


def bar(score: float, *, x: int = 10, length: int = 20) -> Candidate:
    mask = np.zeros((8, length + 2), bool)
    mask[1:-1, 1:-1] = True
    return Candidate(Contour(mask, (x, 5)), mask.astype(np.float32), score, (x + length / 2, 9.0))


@pytest.mark.parametrize("turn", range(ORIENTATIONS))
def test_a_candidate_of_an_oriented_tile_is_restored(turn: int) -> None:
    image = np.zeros(SHAPE, bool)
    image[5:9, 10:33] = image[9:20, 12:15] = True
    oriented = orient_planes(image, turn)
    (rows, columns) = np.nonzero(oriented)
    top, left = int(rows.min()) - 1, int(columns.min()) - 1
    crop = oriented[max(0, top) : rows.max() + 2, max(0, left) : columns.max() + 2]
    spot = np.zeros(SHAPE, bool)
    spot[7, 12] = True
    ((row, column),) = np.argwhere(orient_planes(spot, turn))
    seen = Candidate(Contour(crop, (left, top)), crop.astype(np.float32), 0.9, (column + 0.5, row + 0.5))
    restored = restore_candidate(seen, turn, SHAPE)
    assert (restored.region.full_mask(SHAPE) == image).all()
    assert restored.midpoint == (12.5, 7.5)
    assert (restored.logits == restored.region.mask).all()


def test_what_both_orientations_show_is_one_candidate_of_the_mean_log_odds() -> None:
    (one,) = agree([[bar(0.9)], [bar(0.5, x=11)]], PARAMETERS)
    assert one.score == pytest.approx(0.75)
    assert one.region.origin == (10, 5)  # of the higher score


def test_what_one_orientation_shows_is_less_probable() -> None:
    (one,) = agree([[bar(0.9)], []], PARAMETERS)
    assert one.score == pytest.approx(1 / (1 + np.sqrt(19 / 9)))


def test_different_outlines_of_a_chromosome_stay_and_share_their_scores() -> None:
    both = agree([[bar(0.9)], [bar(0.5, length=16)]], PARAMETERS)
    assert [item.score for item in both] == pytest.approx([0.75, 0.75])


def test_neighbours_are_not_the_same_chromosome() -> None:
    both = agree([[bar(0.9)], [bar(0.9, x=31)]], PARAMETERS)
    assert [item.score for item in both] == pytest.approx([1 / (1 + np.sqrt(19 / 9))] * 2)


def test_one_orientation_is_left_as_it_is() -> None:
    items = [bar(0.9), bar(0.8, x=12)]
    assert agree([items], PARAMETERS) == items
