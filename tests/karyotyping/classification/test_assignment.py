"""Assignment over a cell mends single mistakes and leaves aneuploidies as they are."""

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


def test_a_score_weighs_the_best_whole_against_the_best_that_puts_the_chromosome_elsewhere() -> None:
    """Three chromosomes, and all the wholes they make, without a word of the Hungarian method."""
    prior = CopyNumberPrior(gain=2.0, no_class=4.0, max_copies=2)
    scores = np.random.default_rng(3).normal(0, 2, (3, 24))
    scores[:, 3:22] = -50.0  # 1, 2, 3, X and Y remain
    seen = scores - logsumexp(scores, axis=1, keepdims=True)
    loss = np.log((46 - 43) / (43 + prior.expected_losses))
    best = np.full((3, 24), np.inf)
    for classes in product([0, 1, 2, 22, 23], repeat=3):
        for of_x, of_y in ((2, 0), (1, 1)):
            normal = {0: 2, 1: 2, 2: 2, 22: of_x, 23: of_y}
            copies = Counter(classes)
            if max(copies.values()) > prior.max_copies:
                continue
            cost = -sum(seen[i, k] for i, k in enumerate(classes))
            for k, n in normal.items():
                cost += prior.gain * max(copies[k] - n, 0) - loss * min(copies[k], n) - np.log(comb(n, copies[k]) or 1)
            for i, k in enumerate(classes):
                best[i, k] = min(best[i, k], cost)
    expected = softmax(-best, axis=1)
    assigned = assign(seen, prior=prior)
    assert [one.class_id for one in assigned] == (best.argmin(axis=1) + 1).tolist()
    for one, shares in zip(assigned, expected, strict=True):
        assert one.score == pytest.approx(shares.max(), abs=1e-3)  # nothing has a share too, a small one


@pytest.mark.parametrize("missing", [0, 5, 10, 20])
def test_a_trisomy_is_seen_in_a_cell_seen_in_part(missing: int) -> None:
    random = np.random.default_rng(missing)
    rest = [class_id for class_id in chromosomes("46,XX") if class_id != 21]
    classes = [*random.permutation(rest)[missing:].tolist(), 21, 21, 21]
    assert [one.class_id for one in assign(evidence(classes, sure=12))] == classes


def test_a_loss_costs_less_where_many_are_missing() -> None:
    """A third 21 that could as well be the second 22: believed only if 22 is likely to have been lost."""

    def of_the_doubtful(others: list[int]) -> int | None:
        classes = [*others, 21]
        seen = evidence(classes, sure=20)
        seen[-1, [20, 21]] = -0.01, -4.6
        return assign(seen)[-1].class_id

    complete = [*chromosomes("46,XX")]
    complete.remove(22)
    assert of_the_doubtful(complete) == 22
    assert of_the_doubtful([*range(1, 21), 21, 21, 22]) == 21


def test_of_a_lost_pair_and_two_lost_halves_the_halves_are_likelier() -> None:
    classes = [class_id for class_id in chromosomes("46,XX") if class_id not in (1, 2)] + [1]
    doubtful = np.full((1, 24), -20.0)
    doubtful[0, :2] = np.log([0.5, 0.5])
    (*_, last) = assign(np.concatenate([evidence(classes, sure=20), doubtful]))
    assert last.class_id == 2
    assert last.score == pytest.approx(0.8, abs=0.01)  # odds of (2 x 2) to (1 x 1)


def test_the_likelier_it_is_a_piece_the_sooner_it_fits_nothing() -> None:
    classes = [*chromosomes("46,XX"), 5]
    seen = evidence(classes, sure=12)
    found = [assign(seen, scores=[0.999] * 46 + [whole])[-1].class_id for whole in (0.99, 0.5, 0.01)]
    assert found == [5, None, None]
    missing_one = [*chromosomes("46,XX")]
    missing_one.remove(5)
    kept = assign(evidence(missing_one, sure=12), scores=[0.999] * 8 + [0.2] + [0.999] * 36)
    assert kept[8].class_id == 5  # whose place would be empty without it


def test_the_same_cell_is_assigned_the_same_way_in_any_order() -> None:
    seen = evidence(chromosomes("47,XXY"), sure=3)
    order = np.random.default_rng(1).permutation(len(seen))
    straight, shuffled = assign(seen), assign(seen[order])
    assert [straight[k].class_id for k in order] == [one.class_id for one in shuffled]
    assert [straight[k].score for k in order] == pytest.approx([one.score for one in shuffled])
