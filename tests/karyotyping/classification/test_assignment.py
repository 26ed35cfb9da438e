"""Assignment over a cell corrects single errors and keeps aneuploidies."""

from __future__ import annotations

from collections import Counter
from itertools import product
from math import comb

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from karyotyping.classification.assignment import CopyNumberPrior, assign
from karyotyping.nomenclature.iscn import format_iscn, parse_iscn

KARYOTYPES = [
    "46,XX",
    "46,XY",
    "45,X",
    "47,XXX",
    "47,XX,+21",
    "47,XY,+13",
    "48,XXY,+18",
    "47,XYY",
    "47,XXY",
    "45,XX,-7",
    "44,XY,-13,-22",
    "48,XX,+8,+8",
    "43,XX,-1,-2,-3",
]


def evidence(classes: list[int], margin: float, seed: int = 0) -> NDArray[np.float64]:
    """Return log-probabilities (N, 24) with a ``margin`` for the true class, noise 1 nat."""
    scores = np.random.default_rng(seed).normal(0, 1, (len(classes), 24))
    scores[np.arange(len(classes)), np.array(classes) - 1] += margin
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def chromosomes(karyotype: str) -> list[int]:
    return [class_id for class_id, copies in parse_iscn(karyotype).items() for _ in range(copies)]


@pytest.mark.parametrize("karyotype", KARYOTYPES)
def test_every_aneuploidy_is_kept(karyotype: str) -> None:
    classes = chromosomes(karyotype)
    assigned = assign(evidence(classes, margin=12))
    assert [item.class_id for item in assigned] == classes
    assert format_iscn(Counter(item.class_id for item in assigned if item.class_id)) == karyotype
    assert min(item.score for item in assigned) > 0.9


def test_assignment_corrects_most_single_errors() -> None:
    classes = np.array(chromosomes("46,XY"))
    errors_alone = errors_assigned = 0
    for seed in range(5):
        alone = evidence(classes.tolist(), margin=4, seed=seed)
        errors_alone += int((alone.argmax(axis=1) + 1 != classes).sum())
        errors_assigned += sum(item.class_id != true for item, true in zip(assign(alone), classes, strict=True))
    assert errors_assigned < errors_alone / 2


def test_interchangeable_classes_have_a_score_of_one_half() -> None:
    classes = chromosomes("46,XX")
    twins = evidence(classes, margin=12)
    rows = [i for i, class_id in enumerate(classes) if class_id in (14, 15)]
    twins[rows, 13] = twins[rows, 14] = -0.7
    assigned = assign(twins)
    assert sorted(assigned[i].class_id or 0 for i in rows) == [14, 14, 15, 15]
    assert all(assigned[i].score == pytest.approx(0.5, abs=0.05) for i in rows)


def test_a_chromosome_without_evidence_is_assigned_to_no_class() -> None:
    classes = chromosomes("46,XX")
    with_unidentified = np.concatenate([evidence(classes, margin=12), np.full((1, 24), -12.0)])
    assigned = assign(with_unidentified, scores=[0.9] * 46 + [0.1])
    assert assigned[-1].class_id is None
    assert assigned[-1].score == 0
    assert [item.class_id for item in assigned[:-1]] == classes


def test_an_empty_cell_and_a_single_chromosome() -> None:
    assert assign([]) == ()
    (only,) = assign(evidence([5], margin=8))
    assert only.class_id == 5
    assert only.score > 0.9


def test_scores_equal_those_of_an_exhaustive_search() -> None:
    """Enumerate all assignments of three chromosomes, without the Hungarian method."""
    prior = CopyNumberPrior(gain=2.0, no_class=4.0, max_copies=2)
    scores = np.random.default_rng(3).normal(0, 2, (3, 24))
    scores[:, 3:22] = -50.0  # 1, 2, 3, X and Y remain
    log_probabilities = scores - logsumexp(scores, axis=1, keepdims=True)
    loss = np.log((46 - 43) / (43 + prior.expected_losses))
    best = np.full((3, 24), np.inf)
    for classes in product([0, 1, 2, 22, 23], repeat=3):
        for x, y in ((2, 0), (1, 1)):
            normal = {0: 2, 1: 2, 2: 2, 22: x, 23: y}
            copies = Counter(classes)
            if max(copies.values()) > prior.max_copies:
                continue
            cost = -sum(log_probabilities[i, k] for i, k in enumerate(classes))
            for k, n in normal.items():
                cost += prior.gain * max(copies[k] - n, 0) - loss * min(copies[k], n) - np.log(comb(n, copies[k]) or 1)
            for i, k in enumerate(classes):
                best[i, k] = min(best[i, k], cost)
    expected = softmax(-best, axis=1)
    assigned = assign(log_probabilities, prior=prior)
    assert [item.class_id for item in assigned] == (best.argmin(axis=1) + 1).tolist()
    for item, shares in zip(assigned, expected, strict=True):
        assert item.score == pytest.approx(shares.max(), abs=1e-3)  # the option of no class has a small probability too


@pytest.mark.parametrize("missing", [0, 5, 10, 20])
def test_a_trisomy_is_kept_in_an_incomplete_cell(missing: int) -> None:
    random = np.random.default_rng(missing)
    rest = [class_id for class_id in chromosomes("46,XX") if class_id != 21]
    classes = [*random.permutation(rest)[missing:].tolist(), 21, 21, 21]
    assert [item.class_id for item in assign(evidence(classes, margin=12))] == classes


def test_a_loss_costs_less_if_many_chromosomes_are_missing() -> None:
    """Assign a third 21 that resembles 22: it stays 21 only if the loss of a 22 is probable."""

    def class_of_ambiguous(others: list[int]) -> int | None:
        classes = [*others, 21]
        log_probabilities = evidence(classes, margin=20)
        log_probabilities[-1, [20, 21]] = -0.01, -4.6
        return assign(log_probabilities)[-1].class_id

    complete = [*chromosomes("46,XX")]
    complete.remove(22)
    assert class_of_ambiguous(complete) == 22
    assert class_of_ambiguous([*range(1, 21), 21, 21, 22]) == 21


def test_losing_one_of_two_pairs_each_is_more_probable_than_losing_a_pair() -> None:
    classes = [class_id for class_id in chromosomes("46,XX") if class_id not in (1, 2)] + [1]
    ambiguous = np.full((1, 24), -20.0)
    ambiguous[0, :2] = np.log([0.5, 0.5])
    (*_, last) = assign(np.concatenate([evidence(classes, margin=20), ambiguous]))
    assert last.class_id == 2
    assert last.score == pytest.approx(0.8, abs=0.01)  # odds of (2 x 2) to (1 x 1)


def test_a_low_score_favours_no_class_unless_the_slot_would_be_empty() -> None:
    classes = [*chromosomes("46,XX"), 5]
    log_probabilities = evidence(classes, margin=12)
    assigned = [assign(log_probabilities, scores=[0.999] * 46 + [whole])[-1].class_id for whole in (0.99, 0.5, 0.01)]
    assert assigned == [5, None, None]
    missing_one = [*chromosomes("46,XX")]
    missing_one.remove(5)
    kept = assign(evidence(missing_one, margin=12), scores=[0.999] * 8 + [0.2] + [0.999] * 36)
    assert kept[8].class_id == 5  # its slot would be empty otherwise


def test_doubt_that_a_chromosome_is_whole_counts_half() -> None:
    missing_one = [*chromosomes("46,XX")]
    missing_one.remove(5)
    doubtful = [0.999] * 8 + [0.001] + [0.999] * 36
    classes = [
        assign(evidence(missing_one, margin=12), doubtful, CopyNumberPrior(doubt=doubt))[8].class_id
        for doubt in (CopyNumberPrior().doubt, 1.0)
    ]
    assert classes == [5, None]


def test_the_assignment_is_independent_of_the_order() -> None:
    log_probabilities = evidence(chromosomes("47,XXY"), margin=3)
    order = np.random.default_rng(1).permutation(len(log_probabilities))
    ordered, shuffled = assign(log_probabilities), assign(log_probabilities[order])
    assert [ordered[k].class_id for k in order] == [item.class_id for item in shuffled]
    assert [ordered[k].score for k in order] == pytest.approx([item.score for item in shuffled])
