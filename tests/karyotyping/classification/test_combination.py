"""Of two results of an image, each place keeps the better one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from karyotyping.classification.alternatives import ClassifiedCell
from karyotyping.classification.combination import combine
from karyotyping.classification.comparison import is_unresolved, plausibility
from karyotyping.classification.identify import assign_cell
from karyotyping.nomenclature.classes import class_name
from karyotyping.pipeline import Pipeline
from karyotyping.segmentation.rests import Rest
from tests.support.drawn_result import NORMAL_MALE, Part, draw_chromosome, draw_result
from training.simulation import simulate


def result(places: Mapping[int, list[Part]], *rests: Rest) -> ClassifiedCell:
    """Return a normal cell with something else in some places."""
    normal = {place: [draw_chromosome(place, class_id)] for place, class_id in enumerate(NORMAL_MALE)}
    return draw_result([part for parts in (normal | dict(places)).values() for part in parts], rests)


def halves(place: int) -> list[Part]:
    return [draw_chromosome(place, None, half=half) for half in (0, 1)]


def classes(cell: ClassifiedCell) -> list[str]:
    return sorted(class_name(one.class_id) if one.class_id else "?" for one in assign_cell(cell.predictions))


NORMAL = sorted(map(class_name, NORMAL_MALE))


def test_each_result_mends_the_other() -> None:
    one, other = result({3: halves(3)}), result({30: halves(30), 40: halves(40)})
    for combined in (combine(one, other), combine(other, one)):
        assert classes(combined) == NORMAL
        assert not is_unresolved(combined)
        assert [item.origin[::-1] for item in combined.segmentation.instances] == sorted(
            item.origin[::-1] for item in combined.segmentation.instances
        )


def test_a_rest_gives_way_to_the_chromosome_that_it_is() -> None:
    rest = Rest(draw_chromosome(44, 1)[0].region(), "uncertain")
    combined = combine(result({44: []}, rest), result({3: halves(3)}))
    assert classes(combined) == NORMAL
    assert combined.segmentation.rests == ()


def test_debris_that_the_other_result_takes_for_a_chromosome_may_be_one() -> None:
    debris = Rest(draw_chromosome(44, 1)[0].region(), "debris")
    for score, kinds in ((0.1, []), (0.01, ["uncertain"])):
        seen = draw_chromosome(44, NORMAL_MALE[44], score=score)
        combined = combine(result({44: []}, debris), result({3: halves(3), 44: [seen]}))
        assert [rest.kind for rest in combined.segmentation.rests] == kinds
        assert len(combined.measured) == 46 - len(kinds)


def test_no_chromosome_vanishes_where_the_other_result_has_nothing() -> None:
    """However doubtful it is, and though the cell is more plausible without it."""
    doubtful = draw_chromosome(46, None, score=0.1)
    one, other = result({46: [doubtful]}), result({3: halves(3), 4: halves(4)})
    assert plausibility(one) > plausibility(other)
    assert len(combine(one, other).measured) == 47


def test_equal_results_stay_as_the_first_is() -> None:
    first, second = result({3: halves(3)}), result({3: halves(3)})
    assert combine(first, second) is first


def test_the_pipeline_tries_other_orientations_where_something_is_unexplained() -> None:
    pixels = simulate("46,XX", seed=11, touching=12, overlapping=8).pixels
    pipeline = Pipeline.default("cpu").open()
    plain = pipeline.stream.agreement
    scores = []
    for agreement in (replace(plain, others=()), plain):
        pipeline.stream = replace(pipeline.stream, agreement=agreement)
        found = pipeline.analyse(pixels)
        scores.append(sum(item.score * item.class_score for item in found.chromosomes))
    assert scores[0] < scores[1]
