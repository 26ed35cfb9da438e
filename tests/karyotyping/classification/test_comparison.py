"""The better explanation of an image wins, not the more usual karyotype."""

from __future__ import annotations

import pytest

from karyotyping.classification.comparison import is_unresolved, plausibility
from karyotyping.nomenclature.classes import X, Y
from karyotyping.segmentation.rests import Rest
from tests.support.drawn_result import NORMAL_MALE, Part, draw_chromosome, draw_result


def chromosomes(*further: Part, lost: int | None = None) -> list[Part]:
    normal = [draw_chromosome(place, class_id) for place, class_id in enumerate(NORMAL_MALE)]
    if lost is not None:
        normal.pop(NORMAL_MALE.index(lost))
    return [*normal, *further]


def a_further(score: float, class_id: int | None) -> Part:
    return draw_chromosome(46, class_id, score=score)


REST = Rest(draw_chromosome(47, 1)[0].region(), "uncertain")


def test_a_cell_that_lacks_or_leaves_something_is_unresolved() -> None:
    assert not is_unresolved(draw_result(chromosomes()))
    assert not is_unresolved(draw_result(chromosomes(a_further(0.9, 21))))
    assert is_unresolved(draw_result(chromosomes(a_further(0.9, None))))
    assert is_unresolved(draw_result(chromosomes(), [REST]))
    assert all(is_unresolved(draw_result(chromosomes(lost=lost))) for lost in (1, 21, X, Y))


def test_what_is_no_metaphase_has_nothing_to_resolve() -> None:
    assert not is_unresolved(draw_result([]))
    assert not is_unresolved(draw_result([draw_chromosome(place, 1) for place in range(51)]))


def test_a_gain_is_as_plausible_as_a_normal_cell() -> None:
    gained = draw_result(chromosomes(a_further(0.99, 21)))
    assert plausibility(gained) == pytest.approx(plausibility(draw_result(chromosomes())), abs=0.2)


def test_what_is_certain_is_more_plausible_than_what_fills_a_place() -> None:
    lacking = draw_result(chromosomes(lost=21))
    certain, doubtful = (draw_result(chromosomes(a_further(score, 21), lost=21)) for score in (0.9, 0.1))
    assert plausibility(certain) > plausibility(lacking) > plausibility(doubtful)
    assert plausibility(lacking) > plausibility(draw_result(chromosomes(lost=21), [REST]))
