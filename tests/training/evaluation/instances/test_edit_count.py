"""An operator's edits and right outlines, by hand on small masks."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.model import encode_mask
from training.evaluation.instances import edit_count
from training.evaluation.instances.edit_count import Corrections, corrections, pairs
from training.evaluation.instances.mask_overlap import Outlines, overlaps

SHAPE = (60, 100)
Box = tuple[int, int, int, int]


def mask(*boxes: Box) -> NDArray[np.bool_]:
    """The union of boxes x, y, width, height."""
    filled = np.zeros(SHAPE, bool)
    for x, y, w, h in boxes:
        filled[y : y + h, x : x + w] = True
    return filled


def judge(truth: list[list[Box]], results: list[list[Box]], crowd: list[Box] = []) -> Corrections:  # noqa: B006
    sides = [[encode_mask(mask(*boxes)) for boxes in side] for side in (truth, results, [[box] for box in crowd])]
    return corrections(overlaps(Outlines(*sides)))


def work(done: Corrections) -> tuple[int, int, int, int]:
    return done.splits, done.joins, done.deletions, done.additions


A, B, C = (0, 0, 10, 40), (10, 0, 10, 40), (40, 0, 10, 40)
HALF, OTHER_HALF = (0, 0, 10, 20), (0, 20, 10, 20)


@pytest.mark.parametrize(
    ("truth", "results", "expected"),
    [
        ([[A], [C]], [[A], [C]], (0, 0, 0, 0)),
        ([[A], [C]], [[(0, 0, 10, 30)], [C]], (0, 0, 0, 0)),  # an outline to be touched up is no edit
        ([[A], [B]], [[A, (10, 0, 9, 40)]], (1, 0, 0, 0)),  # touching, in one: one's own
        ([[A], [B], [(20, 0, 10, 40)]], [[(0, 0, 30, 40)]], (2, 0, 0, 0)),  # three in one, which is nobody's
        ([[A], [(10, 0, 10, 12)]], [[A, (10, 0, 10, 12)]], (1, 0, 0, 0)),  # a small one swallowed
        ([[A]], [[HALF], [OTHER_HALF]], (0, 1, 0, 0)),
        ([[A]], [[(0, 0, 10, 13)], [(0, 13, 10, 13)], [(0, 26, 10, 14)]], (0, 2, 0, 0)),
        ([[A]], [[(0, 0, 10, 28)], [(0, 28, 10, 12)]], (0, 1, 0, 0)),  # found, and a piece left
        ([[A]], [[A], [C]], (0, 0, 1, 0)),
        ([[A]], [[A], [(0, 0, 10, 38)]], (0, 0, 1, 0)),  # twice
        ([[A], [C]], [[A]], (0, 0, 0, 1)),
        ([[A]], [[(0, 0, 10, 15)]], (0, 0, 1, 1)),  # a crumb: drawn anew
        ([[A]], [[A, (10, 0, 40, 40)]], (1, 0, 0, 0)),  # with so much dirt that it has to be cut out
        # One of two touching is cut at the wrong place: its rest hangs on the other.
        ([[A], [B]], [[(0, 0, 10, 19)], [B, (0, 19, 10, 21)]], (1, 1, 0, 0)),
        ([], [[A]], (0, 0, 1, 0)),
        ([[A]], [], (0, 0, 0, 1)),
        ([], [], (0, 0, 0, 0)),
    ],
)
def test_edits_by_hand(truth: list[list[Box]], results: list[list[Box]], expected: tuple[int, int, int, int]) -> None:
    done = judge(truth, results)
    assert work(done) == expected
    assert done.edits == sum(expected)
    assert (done.chromosomes, done.results) == (len(truth), len(results))


def test_what_lies_in_a_crowd_region_needs_no_deletion_and_is_no_result() -> None:
    done = judge([[A]], [[A], [C]], crowd=[(38, 0, 14, 45)])
    assert (work(done), done.results, done.right) == ((0, 0, 0, 0), 1, 1)
    half_out = judge([[A]], [[A], [C]], crowd=[(38, 0, 6, 45)])
    assert (work(half_out), half_out.results) == ((0, 0, 1, 0), 2)


def test_an_outline_is_right_from_an_iou_of_four_fifths_unless_a_second_chromosome_is_in_it() -> None:
    assert judge([[A]], [[(0, 0, 10, 32)]]).right == 1
    assert judge([[A]], [[(0, 0, 10, 31)]]).right == 0
    small = (10, 0, 10, 8)  # a fifth of A: both together have an IoU of .83 with it
    assert judge([[A], [small]], [[A, small]]).right == 0
    assert judge([[A], [small]], [[A, (10, 0, 10, 1)], [small]]).right == 2  # an eighth of it, at a soft edge


def test_pixels_that_two_chromosomes_share_are_no_second_chromosome() -> None:
    upright, across = (20, 0, 10, 40), (10, 15, 30, 10)  # a third of the crossing one lies on the upright one
    assert judge([[upright], [across]], [[upright], [across]]).right == 2
    assert judge([[upright], [across]], [[upright, (10, 15, 10, 10)], [across]]).right == 1


def test_scores_play_no_part_in_the_matching() -> None:
    iou = np.array([[0.9, 0.6], [0.7, 0.0]])
    assert pairs(iou).tolist() == [1, 0]
    assert pairs(iou[:, ::-1]).tolist() == [0, 1]


def test_the_examples_of_the_definition_hold() -> None:
    tried = doctest.testmod(edit_count)
    assert tried.attempted > 5
    assert not tried.failed
