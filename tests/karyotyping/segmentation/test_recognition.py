"""Evidence of a classifier for candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from karyotyping.nomenclature.classes import CLASS_COUNT
from karyotyping.segmentation.contours import Contour, shared_areas
from karyotyping.segmentation.instance_decoding import Candidate
from karyotyping.segmentation.proposals import Proposals
from karyotyping.segmentation.recognition import Evidence, Recognised, RecognitionWeights

SHAPE = (60, 80)
HIGH_LOG_ODDS, LOW_LOG_ODDS = 7.0, -1.0  # log odds of the most probable class


def bar(x: int, y: int, w: int, h: int, score: float) -> Candidate:
    mask = np.pad(np.ones((h, w), bool), 1)
    return Candidate(Contour(mask, (x - 1, y - 1)), 2.0 * mask - 1, score, (x + w / 2, y + h / 2))


def recognised(*kinds: tuple[int, float]) -> Recognised:
    """Regions of these class ids with these log odds, whole ones if the odds are high."""
    classes = np.full((len(kinds), CLASS_COUNT), -9.0)
    for row, (class_id, log_odds) in zip(classes, kinds, strict=True):
        row[class_id - 1] = -0.01 if log_odds > 0 else -3.0
    confidence = np.array([log_odds for _, log_odds in kinds])
    return Recognised(np.where(confidence > 0, 1e-4, 0.9), confidence, classes, *np.zeros((2, len(kinds))))


def evidence(candidates: Sequence[Candidate], *kinds: tuple[int, float], depth: np.ndarray | None = None) -> Evidence:
    """Evidence where the classifier recognises ``kinds``; by default in one foreground."""
    foreground = np.ones(SHAPE, np.float32) if depth is None else depth
    found = recognised(*kinds)
    proposed = Proposals(list(candidates), foreground)
    return Evidence(proposed, [], lambda indices, members: found, RecognitionWeights(), shared(candidates))


def shared(candidates: Sequence[Candidate]) -> list[dict[int, int]]:
    return shared_areas([item.region for item in candidates])


def test_a_whole_chromosome_is_more_probable_than_its_halves() -> None:
    items = [bar(10, 10, 40, 8, 0.5), bar(10, 10, 20, 8, 0.6), bar(30, 10, 20, 8, 0.6)]
    whole, left, right = (
        item.score for item in evidence(items, (1, HIGH_LOG_ODDS), (1, LOW_LOG_ODDS), (5, LOW_LOG_ODDS)).rescore()
    )
    assert whole > 0.8
    assert max(left, right) < 0.3


def test_a_third_copy_is_less_probable_and_a_first_more() -> None:
    items = [bar(2, 10 * k, 40, 8, 0.7) for k in range(4)]
    plain = evidence(items, *[(1, HIGH_LOG_ODDS)] * 4)
    alone, third = plain.rescore([])[3], plain.rescore(items[:2])[3]
    assert third.score < plain.rescore()[3].score < alone.score
    assert third.score > 0.5, "a clear third copy is not hidden: there are trisomies"


def test_copies_of_chromosomes_that_are_no_candidates_count() -> None:
    items = [bar(2, 10, 40, 8, 0.7)]
    first, third = (evidence(items, *[(1, HIGH_LOG_ODDS)] * n).rescore([])[0].score for n in (1, 3))
    assert third < first


def test_overlapping_candidates_are_no_copies_of_each_other() -> None:
    items = [bar(2, 10, 40, 8, 0.7), bar(2, 12, 40, 8, 0.7)]
    each = evidence(items, *[(1, HIGH_LOG_ODDS)] * 2)
    assert each.rescore(items[:1])[1].score == each.rescore([])[1].score


def test_an_isolated_candidate_stays_plausible_whatever_the_classifier_recognises() -> None:
    items = [bar(10, 10, 12, 8, 0.6)]
    depth = np.zeros(SHAPE, np.float32)
    depth[items[0].region.pixels(SHAPE)] = 1
    assert evidence(items, (21, LOW_LOG_ODDS), depth=depth).rescore()[0].score >= 0.3
    assert evidence(items, (21, LOW_LOG_ODDS)).rescore()[0].score < 0.3


def test_duplicates_are_recognised_once() -> None:
    items = [bar(10, 10, 40, 8, 0.6), bar(10, 10, 39, 8, 0.8), bar(10, 40, 40, 8, 0.8)]
    asked: list[int] = []

    def recognise(indices: Sequence[int], members: Sequence[int]) -> Recognised:
        asked.extend(indices)
        assert members == [0], "the duplicate of the first gives the scale in its place"
        return recognised((1, HIGH_LOG_ODDS), (2, LOW_LOG_ODDS))

    proposed = Proposals(items, np.ones(SHAPE, np.float32))
    scores = [
        item.score for item in Evidence(proposed, items[:1], recognise, RecognitionWeights(), shared(items)).rescore()
    ]
    assert asked == [1, 2]
    assert scores[1] > scores[0] > 0.5 > scores[2]


def test_no_candidates_have_no_scores() -> None:
    assert evidence([]).rescore([]) == []
