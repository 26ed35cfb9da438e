"""Expected edits of a cell, and what they are worth on images that were not fitted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.accuracy.cell_ranking import (
    CLASS_EVIDENCE,
    FITTED,
    OUTLINE_EVIDENCE,
    WITHOUT_CLASSES,
    compare,
    fit,
    read_rows,
)
from karyotyping.expected_edits import CLASS_WEIGHTS, OUTLINE_WEIGHTS, Evidence, expected_edits

CERTAIN = Evidence(0.0, 0.0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    "worse",
    [
        {"doubtful_outlines": 1.0},
        {"doubtful_classes": 1.0},
        {"reassigned": 1},
        {"overlaps": 2},
        {"missing": 1},
        {"excess": 1},
    ],
)
def test_every_doubt_adds_edits(worse: dict[str, float]) -> None:
    assert sum(expected_edits(replace(CERTAIN, **worse))) > sum(expected_edits(CERTAIN))  # type: ignore[arg-type]


def test_the_weights_are_those_of_the_stored_analyses() -> None:
    fitted = [row for row in read_rows() if row.set in FITTED]
    named = [row for row in fitted if row.set != WITHOUT_CLASSES]
    assert fit(fitted, OUTLINE_EVIDENCE, lambda row: row.missed + row.false) == OUTLINE_WEIGHTS
    assert fit(named, CLASS_EVIDENCE, lambda row: row.wrong) == CLASS_WEIGHTS


def test_most_of_the_gap_to_the_best_possible_choice_is_closed_on_held_out_cases() -> None:
    rows = [row for row in read_rows() if row.set == "tseng, held-out"]
    (at_random, best, chosen, by_quality), correlation, _ = compare(rows, cells=20, pool=60)
    assert (at_random - chosen) / (at_random - best) > 0.65
    assert chosen < by_quality < at_random
    assert correlation > 0.55
