"""Selection among rival candidates by the stain that they explain together."""

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
    """How many of the items cover each pixel."""
    depth = np.zeros(SHAPE, np.float32)
    for item in items:
        depth[item.region.pixels(SHAPE)] += 1
    return depth


def chosen(candidates: list[Candidate], depth: np.ndarray, **parameters: float) -> list[Candidate]:
    """The candidates that were chosen, as they were."""
    kept = select(candidates, depth, SelectionParameters(**parameters))
    return [next(c for c in candidates if c.region is item.region) for item in kept]


def test_the_whole_beats_its_two_halves() -> None:
    whole, left, right = bar(10, 10, 40, 8, 0.5), bar(10, 10, 20, 8, 0.6), bar(30, 10, 20, 8, 0.3)
    assert chosen([left, right, whole], depth_of(whole)) == [whole]


def test_two_neighbours_beat_both_in_one() -> None:
    upper, lower, both = bar(10, 10, 40, 8, 0.5), bar(10, 18, 40, 8, 0.5), bar(10, 10, 40, 16, 0.2)
    assert set(map(id, chosen([both, upper, lower], depth_of(upper, lower)))) == {id(upper), id(lower)}


def test_crossing_candidates_are_both_selected_at_double_depth() -> None:
    flat, across = bar(10, 26, 40, 8, 0.5), bar(26, 10, 8, 40, 0.2)
    assert len(chosen([flat, across], depth_of(flat, across))) == 2


def test_duplicates_are_selected_once() -> None:
    first, again = bar(10, 10, 40, 8, 0.8), bar(11, 10, 40, 8, 0.7)
    assert chosen([again, first], depth_of(first)) == [first]


def test_a_small_chromosome_is_selected_once_however_probable_its_duplicate_is() -> None:
    large = [bar(10, y, 60, 12, 0.9) for y in (22, 35, 48)]
    first, again = bar(10, 10, 12, 8, 0.995), bar(10, 10, 12, 9, 0.99)
    assert chosen([again, first, *large], depth_of(first, *large)) == [first, *large]


def test_a_weak_candidate_is_selected_where_it_alone_explains_stain() -> None:
    weak, strong = bar(10, 10, 40, 8, 0.1), bar(10, 40, 40, 8, 0.9)
    assert chosen([weak, strong], depth_of(weak, strong)) == [strong, weak]
    assert chosen([weak, strong], depth_of(strong)) == [strong]
    assert chosen([weak, strong], depth_of(weak, strong), prior=-9.0) == []


def test_overlapping_members_lower_the_score() -> None:
    sure, other = bar(10, 10, 40, 8, 0.9), bar(10, 14, 40, 8, 0.85)
    (alone,) = select([sure], depth_of(sure), SelectionParameters())
    both = select([sure, other], depth_of(sure) + 0.6 * (depth_of(other) > 0), SelectionParameters())
    assert 0.9 < alone.score < 1
    assert len(both) == 2
    assert both[0].score < alone.score


@pytest.mark.parametrize("seed", range(5))
def test_selection_does_not_depend_on_the_order(seed: int) -> None:
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


def test_doubtful_candidates_are_dropped_above_the_normal_count() -> None:
    places = [(x, y) for y in range(2, 58, 7) for x in range(2, 76, 11)]
    sure = [bar(x, y, 8, 4, 0.9) for x, y in places[:46]]
    doubtful = [bar(x, y, 8, 4, 0.05) for x, y in places[46:]]
    everything = [*sure, *doubtful]
    depth = 0.7 * depth_of(*everything)  # ambiguous
    assert len(everything) > 50
    assert len(chosen(everything, depth, explained=9.0)) == len(sure)
    assert len(chosen(everything, depth, explained=9.0, astray=0.0)) == len(everything)
    assert len(chosen(everything[-9:], depth, explained=9.0)) == 9
    few = [*sure[:9], *doubtful]
    other = select(few, 0.7 * depth_of(*few), SelectionParameters(explained=9.0), known_count=46 - 9)
    assert len(other) == 9


def test_two_candidates_replace_one_below_the_normal_count() -> None:
    upper, lower, both = bar(10, 10, 40, 8, 0.5), bar(10, 18, 40, 8, 0.5), bar(10, 10, 40, 16, 0.6)
    depth = depth_of(upper, lower)
    counts = {n: len(select([both, upper, lower], depth, SelectionParameters(), known_count=n)) for n in (0, 37, 45)}
    assert counts == {0: 1, 37: 2, 45: 1}
