"""Edits and right outlines of small masks, counted by hand."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.model import encode_mask
from training.evaluation.instances import edit_count
from training.evaluation.instances.edit_count import Corrections, count_corrections, match_one_to_one
from training.evaluation.instances.mask_overlap import Outlines, measure_overlaps

SHAPE = (60, 100)
Box = tuple[int, int, int, int]


def mask(*boxes: Box) -> NDArray[np.bool_]:
    """The union of boxes x, y, width, height."""
    filled = np.zeros(SHAPE, bool)
    for x, y, w, h in boxes:
        filled[y : y + h, x : x + w] = True
    return filled


def correct(truth: list[list[Box]], results: list[list[Box]], crowd: list[Box] = []) -> Corrections:  # noqa: B006
    sides = [[encode_mask(mask(*boxes)) for boxes in side] for side in (truth, results, [[box] for box in crowd])]
    return count_corrections(measure_overlaps(Outlines(*sides)))


def edits_by_kind(done: Corrections) -> tuple[int, int, int, int]:
    return done.splits, done.joins, done.deletions, done.additions


A, B, C = (0, 0, 10, 40), (10, 0, 10, 40), (40, 0, 10, 40)
HALF, OTHER_HALF = (0, 0, 10, 20), (0, 20, 10, 20)


@pytest.mark.parametrize(
    ("truth", "results", "expected"),
    [
        ([[A], [C]], [[A], [C]], (0, 0, 0, 0)),
        ([[A], [C]], [[(0, 0, 10, 30)], [C]], (0, 0, 0, 0)),  # a shorter outline needs no edit
        ([[A], [B]], [[A, (10, 0, 9, 40)]], (1, 0, 0, 0)),  # two touching ones in the first one's result
        ([[A], [B], [(20, 0, 10, 40)]], [[(0, 0, 30, 40)]], (2, 0, 0, 0)),  # three in one result, matched with none
        ([[A], [(10, 0, 10, 12)]], [[A, (10, 0, 10, 12)]], (1, 0, 0, 0)),  # a small one in a large one's result
        ([[A]], [[HALF], [OTHER_HALF]], (0, 1, 0, 0)),
        ([[A]], [[(0, 0, 10, 13)], [(0, 13, 10, 13)], [(0, 26, 10, 14)]], (0, 2, 0, 0)),
        ([[A]], [[(0, 0, 10, 28)], [(0, 28, 10, 12)]], (0, 1, 0, 0)),  # matched, and a piece
        ([[A]], [[A], [C]], (0, 0, 1, 0)),
        ([[A]], [[A], [(0, 0, 10, 38)]], (0, 0, 1, 0)),  # twice
        ([[A], [C]], [[A]], (0, 0, 0, 1)),
        ([[A]], [[(0, 0, 10, 15)]], (0, 0, 1, 1)),  # less than half: to be deleted and added
        ([[A]], [[A, (10, 0, 40, 40)]], (1, 0, 0, 0)),  # in a result that is mostly background
        # One of two touching is cut at the wrong place, and the other's result holds its rest.
        ([[A], [B]], [[(0, 0, 10, 19)], [B, (0, 19, 10, 21)]], (1, 1, 0, 0)),
        ([], [[A]], (0, 0, 1, 0)),
        ([[A]], [], (0, 0, 0, 1)),
        ([], [], (0, 0, 0, 0)),
    ],
)
def test_edits_equal_those_counted_by_hand(
    truth: list[list[Box]], results: list[list[Box]], expected: tuple[int, int, int, int]
) -> None:
    done = correct(truth, results)
    assert edits_by_kind(done) == expected
    assert done.edits == sum(expected)
    assert (done.chromosomes, done.results) == (len(truth), len(results))


def test_result_in_a_crowd_region_is_excused() -> None:
    done = correct([[A]], [[A], [C]], crowd=[(38, 0, 14, 45)])
    assert (edits_by_kind(done), done.results, done.right) == ((0, 0, 0, 0), 1, 1)
    half_out = correct([[A]], [[A], [C]], crowd=[(38, 0, 6, 45)])
    assert (edits_by_kind(half_out), half_out.results) == ((0, 0, 1, 0), 2)


def test_outline_is_right_from_iou_80_without_a_second_chromosome() -> None:
    assert correct([[A]], [[(0, 0, 10, 32)]]).right == 1
    assert correct([[A]], [[(0, 0, 10, 31)]]).right == 0
    small = (10, 0, 10, 8)  # a fifth of A: both together have an IoU of .83 with it
    assert correct([[A], [small]], [[A, small]]).right == 0
    assert correct([[A], [small]], [[A, (10, 0, 10, 1)], [small]]).right == 2  # an eighth of it, at a soft edge


def test_shared_pixels_count_as_no_second_chromosome() -> None:
    upright, across = (20, 0, 10, 40), (10, 15, 30, 10)  # a third of the crossing one is on the upright one
    assert correct([[upright], [across]], [[upright], [across]]).right == 2
    assert correct([[upright], [across]], [[upright, (10, 15, 10, 10)], [across]]).right == 1


def test_matching_has_the_greatest_sum_of_iou() -> None:
    iou = np.array([[0.9, 0.6], [0.7, 0.0]])
    assert match_one_to_one(iou).tolist() == [1, 0]
    assert match_one_to_one(iou[:, ::-1]).tolist() == [0, 1]


def test_examples_in_the_docstrings_hold() -> None:
    tried = doctest.testmod(edit_count)
    assert tried.attempted > 5
    assert not tried.failed
