"""The better explanation of an image wins, not the more usual karyotype."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from karyotyping.classification.comparison import is_unresolved, plausibility
from karyotyping.model import CellAnalysis, Unassigned
from karyotyping.nomenclature.classes import X, Y
from karyotyping.pipeline import Pipeline
from training.simulation import simulate


@pytest.fixture(scope="module")
def cell() -> CellAnalysis:
    """A cell of 46 of which every score is high."""
    found = Pipeline.default("cpu").analyse(simulate("46,XY", seed=2).pixels)
    assert found.iscn == "46,XY"
    sure = tuple(replace(item, score=0.99, class_score=0.99) for item in found.chromosomes)
    return replace(found, chromosomes=sure, rests=())


def without(cell: CellAnalysis, class_ids: Sequence[int]) -> CellAnalysis:
    chromosomes = list(cell.chromosomes)
    for class_id in class_ids:
        chromosomes.remove(next(item for item in chromosomes if item.class_id == class_id))
    return replace(cell, chromosomes=tuple(chromosomes))


def with_a_further(cell: CellAnalysis, score: float, class_id: int | None) -> CellAnalysis:
    further = replace(cell.chromosomes[0], score=score, class_id=class_id)
    return replace(cell, chromosomes=(*cell.chromosomes, further))


def with_a_rest(cell: CellAnalysis) -> CellAnalysis:
    return replace(cell, rests=(Unassigned("uncertain", cell.chromosomes[0].mask),))


def test_a_cell_that_lacks_or_leaves_something_is_unresolved(cell: CellAnalysis) -> None:
    assert not is_unresolved(cell)
    assert not is_unresolved(with_a_further(cell, 0.9, 21))
    assert is_unresolved(with_a_further(cell, 0.9, None))
    assert is_unresolved(with_a_rest(cell))
    assert all(is_unresolved(without(cell, [lost])) for lost in (1, 21, X, Y))
    assert not is_unresolved(replace(without(cell, [1]), iscn=None))


def test_a_gain_is_as_plausible_as_a_normal_cell(cell: CellAnalysis) -> None:
    assert plausibility(with_a_further(cell, 1.0, 21)) == pytest.approx(plausibility(cell), abs=0.05)


def test_what_is_certain_is_more_plausible_than_what_fills_a_place(cell: CellAnalysis) -> None:
    lacking = without(cell, [21])
    certain, doubtful = (with_a_further(lacking, score, 21) for score in (0.9, 0.1))
    assert plausibility(certain) > plausibility(lacking) > plausibility(doubtful)
    assert plausibility(lacking) > plausibility(with_a_rest(lacking))


def test_of_two_results_the_more_plausible_one_stays() -> None:
    """In other orientations, where the first leave something unexplained."""
    pixels = simulate("46,XX", seed=11, touching=12, overlapping=8).pixels
    pipeline = Pipeline.default("cpu").open()
    plain = pipeline.stream.agreement
    results = []
    for agreement in (replace(plain, others=()), replace(plain, turns=plain.others, others=()), plain):
        pipeline.stream = replace(pipeline.stream, agreement=agreement)
        results.append(pipeline.analyse(pixels))
    first, second, both = results
    assert is_unresolved(first)
    assert plausibility(second) != plausibility(first)
    assert plausibility(both) == pytest.approx(max(plausibility(first), plausibility(second)))
