"""Of candidates that contradict each other, those are chosen that explain the stain together."""

from __future__ import annotations

import numpy as np
import pytest

from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.instance_decoding import Candidate
from karyotyping.segmentation.selection import SelectionParameters, select

SHAPE = (60, 80)


def bar(x: int, y: int, w: int, h: int, score: float) -> Candidate:
    mask = np.pad(np.ones((h, w), bool), 1)
    return Candidate(Contour(mask, (x - 1, y - 1)), 2.0 * mask - 1, score, (x + w / 2, y + h / 2))


def depth_of(*items: Candidate) -> np.ndarray:
    """How many of the items lie on each pixel."""
    depth = np.zeros(SHAPE, np.float32)
    for item in items:
        depth[item.region.pixels(SHAPE)] += 1
    return depth


def chosen(candidates: list[Candidate], depth: np.ndarray, **parameters: float) -> list[Candidate]:
    """The candidates that were chosen, as they were."""
    kept = select(candidates, depth, SelectionParameters(**parameters))
    return [next(c for c in candidates if c.region is item.region) for item in kept]


def test_two_halves_lose_to_the_whole_that_they_are_halves_of() -> None:
    whole, left, right = bar(10, 10, 40, 8, 0.5), bar(10, 10, 20, 8, 0.6), bar(30, 10, 20, 8, 0.3)
    assert chosen([left, right, whole], depth_of(whole)) == [whole]


def test_two_neighbours_win_against_both_in_one() -> None:
    upper, lower, both = bar(10, 10, 40, 8, 0.5), bar(10, 18, 40, 8, 0.5), bar(10, 10, 40, 16, 0.2)
    assert set(map(id, chosen([both, upper, lower], depth_of(upper, lower)))) == {id(upper), id(lower)}


def test_two_that_cross_are_both_chosen_where_the_stain_is_double() -> None:
    lying, across = bar(10, 26, 40, 8, 0.5), bar(26, 10, 8, 40, 0.2)
    assert len(chosen([lying, across], depth_of(lying, across))) == 2


def test_the_same_told_again_is_told_once() -> None:
    first, again = bar(10, 10, 40, 8, 0.8), bar(11, 10, 40, 8, 0.7)
    assert chosen([again, first], depth_of(first)) == [first]


def test_a_weak_candidate_counts_where_it_alone_explains_the_stain() -> None:
    weak, strong = bar(10, 10, 40, 8, 0.1), bar(10, 40, 40, 8, 0.9)
    assert chosen([weak, strong], depth_of(weak, strong)) == [strong, weak]
    assert chosen([weak, strong], depth_of(strong)) == [strong]
    assert chosen([weak, strong], depth_of(weak, strong), prior=-9.0) == []


def test_scores_are_probabilities_that_others_lower() -> None:
    sure, beside = bar(10, 10, 40, 8, 0.9), bar(10, 14, 40, 8, 0.85)
    (alone,) = select([sure], depth_of(sure), SelectionParameters())
    both = select([sure, beside], depth_of(sure) + 0.6 * (depth_of(beside) > 0), SelectionParameters())
    assert 0.9 < alone.score < 1
    assert len(both) == 2
    assert both[0].score < alone.score


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_candidates_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    items = [
        bar(*rng.integers(0, 30, 2).tolist(), *rng.integers(4, 30, 2).tolist(), rng.uniform(0.1, 0.9))
        for _ in range(14)
    ]
    depth = np.minimum(2, depth_of(*items[:6]))
    regions = [item.region for item in select(items, depth, SelectionParameters())]
    shuffled = [items[k] for k in rng.permutation(14)]
    again = [item.region for item in select(shuffled, depth, SelectionParameters())]
    assert {id(region) for region in regions} == {id(region) for region in again}
    assert select([], depth, SelectionParameters()) == []


def test_where_more_are_told_than_cells_have_doubtful_pieces_go() -> None:
    places = [(x, y) for y in range(2, 58, 7) for x in range(2, 76, 11)]
    sure = [bar(x, y, 8, 4, 0.9) for x, y in places[:46]]
    doubtful = [bar(x, y, 8, 4, 0.05) for x, y in places[46:]]
    everything = [*sure, *doubtful]
    depth = 0.7 * depth_of(*everything)  # it is not clear whether anything is there
    assert len(everything) > 50
    assert len(chosen(everything, depth, explained=9.0)) == len(sure)
    assert len(chosen(everything, depth, explained=9.0, astray=0.0)) == len(everything)
    assert len(chosen(everything[-9:], depth, explained=9.0)) == 9
    few = [*sure[:9], *doubtful]
    beside = select(few, 0.7 * depth_of(*few), SelectionParameters(explained=9.0), known_count=46 - 9)
    assert len(beside) == 9


def test_where_a_few_are_missing_one_is_rather_two() -> None:
    upper, lower, both = bar(10, 10, 40, 8, 0.5), bar(10, 18, 40, 8, 0.5), bar(10, 10, 40, 16, 0.6)
    depth = depth_of(upper, lower)
    told = {n: len(select([both, upper, lower], depth, SelectionParameters(), known_count=n)) for n in (0, 37, 45)}
    assert told == {0: 1, 37: 2, 45: 1}
