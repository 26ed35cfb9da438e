"""Clones that count by colonies or cultures."""

from __future__ import annotations

import pytest

from karyotyping.case.cell import CellSummary
from karyotyping.case.cultures import CloneUnit
from karyotyping.case.decision import Judgement, Outcome, judge
from karyotyping.case.rules import Rules
from karyotyping.nomenclature.iscn import parse_iscn


def judged(unit: CloneUnit, *cells: tuple[str, str | None, str | None]) -> Judgement:
    """Return the judgement of cells, each with its karyotype, culture and colony."""
    found = []
    for number, (karyotype, culture, colony) in enumerate(cells):
        counts = parse_iscn(karyotype)
        found.append(CellSummary(number, counts, sum(counts.values()), 0.9, culture=culture, colony=colony))
    return judge(found, rules=Rules(clone_unit=unit))


def test_cells_of_one_colony_make_no_clone() -> None:
    trisomic = [("47,XX,+21", "A", "1")] * 6
    one = judged("colony", *trisomic)
    assert one.outcome == Outcome.SUSPECTED
    assert one.why == "+21 in 6 cells of 1 colony is not clonal: 2 colonies are needed."
    several = judged("colony", *(("47,XX,+21", "A", str(n // 3)) for n in range(6)))
    assert (several.outcome, several.abnormalities[0].clonal) == (Outcome.ABNORMAL, True)
    assert judged("cell", *trisomic).outcome == Outcome.ABNORMAL


def test_the_same_name_in_two_cultures_is_two_colonies() -> None:
    assert judged("colony", *(("47,XX,+21", "AB"[n % 2], "1") for n in range(6))).outcome == Outcome.ABNORMAL


def test_a_cell_without_a_colony_counts_as_one() -> None:
    assert judged("colony", *[("47,XX,+21", None, None)] * 6).outcome == Outcome.ABNORMAL


@pytest.mark.parametrize(("cultures", "outcome"), [("A", "suspected"), ("AB", "abnormal"), (None, "abnormal")])
def test_a_clone_of_several_is_in_more_than_one_culture(cultures: str | None, outcome: str) -> None:
    def culture(number: int) -> str | None:
        return None if cultures is None else cultures[number % len(cultures)]

    normal = [("46,XX", "AB"[n % 2] if cultures else None, None) for n in range(12)]
    found = judged("culture", *normal, *(("47,XX,+8", culture(n), None) for n in range(8)))
    assert found.outcome == outcome
    assert (found.why == "+8 is in culture A only, where it may have arisen.") == (cultures == "A")


def test_a_case_of_one_clone_may_be_of_one_culture() -> None:
    """That a second culture is missing is a matter of the policy."""
    assert judged("culture", *[("47,XX,+21", "A", None)] * 6).outcome == Outcome.ABNORMAL
