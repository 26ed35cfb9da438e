"""Assignment over a cell mends single mistakes and leaves aneuploidies as they are."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.assignment import assign
from karyotyping.iscn import format_iscn, parse_iscn

KARYOTYPES = [
    "46,XX",
    "46,XY",
    "45,X",
    "47,XX,+21",
    "47,XY,+13",
    "48,XXY,+18",
    "47,XYY",
    "45,XX,-7",
    "44,XY,-13,-22",
    "48,XX,+8,+8",
    "43,XX,-1,-2,-3",
]


def evidence(classes: list[int], sure: float, seed: int = 0) -> NDArray[np.float64]:
    """Log-probabilities that favour the true class by ``sure`` nats, with unrest of one nat."""
    scores = np.random.default_rng(seed).normal(0, 1, (len(classes), 24))
    scores[np.arange(len(classes)), np.array(classes) - 1] += sure
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def chromosomes(karyotype: str) -> list[int]:
    return [class_id for class_id, copies in parse_iscn(karyotype).items() for _ in range(copies)]


@pytest.mark.parametrize("karyotype", KARYOTYPES)
def test_every_aneuploidy_comes_out_as_it_is(karyotype: str) -> None:
    classes = chromosomes(karyotype)
    assigned = assign(evidence(classes, sure=12))
    assert [item.class_id for item in assigned] == classes
    assert format_iscn(Counter(item.class_id for item in assigned if item.class_id)) == karyotype
    assert min(item.score for item in assigned) > 0.9


def test_the_cell_mends_what_single_chromosomes_get_wrong() -> None:
    classes = np.array(chromosomes("46,XY"))
    wrong_alone = wrong_together = 0
    for seed in range(5):
        alone = evidence(classes.tolist(), sure=4, seed=seed)
        wrong_alone += int((alone.argmax(axis=1) + 1 != classes).sum())
        wrong_together += sum(item.class_id != true for item, true in zip(assign(alone), classes, strict=True))
    assert wrong_together < wrong_alone / 2


def test_look_alikes_that_could_be_swapped_are_not_called_sure() -> None:
    classes = chromosomes("46,XX")
    twins = evidence(classes, sure=12)
    rows = [i for i, class_id in enumerate(classes) if class_id in (14, 15)]
    twins[rows, 13] = twins[rows, 14] = -0.7
    assigned = assign(twins)
    assert sorted(assigned[i].class_id or 0 for i in rows) == [14, 14, 15, 15]
    assert all(assigned[i].score == pytest.approx(0.5, abs=0.05) for i in rows)


def test_what_fits_nothing_stays_unknown_and_counts_for_no_class() -> None:
    classes = chromosomes("46,XX")
    with_stranger = np.concatenate([evidence(classes, sure=12), np.full((1, 24), -12.0)])
    assigned = assign(with_stranger, scores=[0.9] * 46 + [0.1])
    assert assigned[-1].class_id is None
    assert assigned[-1].score == 0
    assert [item.class_id for item in assigned[:-1]] == classes


def test_an_empty_cell_and_a_single_chromosome() -> None:
    assert assign([]) == ()
    (only,) = assign(evidence([5], sure=8))
    assert only.class_id == 5
    assert only.score > 0.9
