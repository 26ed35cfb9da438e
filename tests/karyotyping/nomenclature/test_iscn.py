"""Formatting and parsing of numerical karyotypes."""

from __future__ import annotations

import random

import pytest

from karyotyping.nomenclature.classes import X, Y
from karyotyping.nomenclature.iscn import format_iscn, is_polyploid, parse_iscn

AUTOSOMES = dict.fromkeys(range(1, 23), 2)


@pytest.mark.parametrize(
    ("changes", "iscn"),
    [
        ({X: 2}, "46,XX"),
        ({X: 1, Y: 1}, "46,XY"),
        ({X: 1}, "45,X"),
        ({Y: 1}, "45,Y"),
        ({}, "44,?"),
        ({X: 1, Y: 1, 21: 3}, "47,XY,+21"),
        ({X: 2, Y: 1, 18: 3}, "48,XXY,+18"),
        ({X: 1, Y: 1, 13: 1, 22: 1}, "44,XY,-13,-22"),
        ({X: 2, 8: 4, 7: 0}, "46,XX,-7,-7,+8,+8"),
        ({X: 1, Y: 2, 1: 1, 9: 3}, "47,XYY,-1,+9"),
    ],
)
def test_numerical_karyotypes_are_formatted_and_parsed(changes: dict[int, int], iscn: str) -> None:
    counts = {**AUTOSOMES, **changes}
    assert format_iscn(counts) == iscn
    assert parse_iscn(iscn) == {class_id: copies for class_id, copies in counts.items() if copies}


def test_polyploid_karyotypes_are_formatted_and_parsed() -> None:
    triploid = {**dict.fromkeys(range(1, 23), 3), X: 3}
    assert format_iscn(triploid) == "69,XXX"
    assert format_iscn({**triploid, 5: 4}) == "70<3n>,XXX,+5"
    assert parse_iscn("70<3n>,XXX,+5")[5] == 4
    assert format_iscn({**dict.fromkeys(range(1, 23), 4), X: 2, Y: 2}) == "92,XXYY"


def test_unidentified_chromosomes_count_as_incomplete_or_as_markers() -> None:
    counts = {**AUTOSOMES, X: 2, 13: 1}
    assert format_iscn(counts, unidentified=1) == "46,XX,-13,inc"
    assert format_iscn(counts, unidentified=1, markers=True) == "46,XX,-13,+mar"
    assert format_iscn(counts, unidentified=2, markers=True) == "47,XX,-13,+2mar"
    assert parse_iscn("46,XX,-13,inc") == parse_iscn("47,XX,-13,+2mar") == counts


def test_objects_that_may_be_chromosomes_make_a_karyotype_incomplete_where_it_lacks_one() -> None:
    assert format_iscn({**AUTOSOMES, X: 1}, unexplained=1) == "45,X,inc"
    assert format_iscn({**AUTOSOMES, X: 1}, unidentified=1, markers=True, unexplained=1) == "46,X,+mar,inc"
    assert format_iscn({**AUTOSOMES, X: 1, Y: 1, 21: 3}, unexplained=1) == "47,XY,+21"


def test_gained_and_lost_sex_chromosomes_are_parsed() -> None:
    assert parse_iscn("45,X,-Y") == {**AUTOSOMES, X: 1}
    assert parse_iscn("47,XX,+X") == {**AUTOSOMES, X: 3}
    assert parse_iscn(" 47, XY, +21 ")[21] == 3


def test_parsing_inverts_formatting() -> None:
    random_source = random.Random(7)
    for _ in range(300):
        counts = {class_id: random_source.choice([0, 1, 2, 2, 2, 2, 3, 4]) for class_id in range(1, 25)}
        assert parse_iscn(format_iscn(counts)) == {class_id: n for class_id, n in counts.items() if n}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "chromosome number"),
        ("XX", "chromosome number"),
        ("46", "sex complement"),
        ("46,", "sex complement"),
        ("46,XZ", "sex complement"),
        ("47,XX", "add up to 46"),
        ("46,XX,+21", "add up to 47"),
        ("47,XY,+25", "not a whole chromosome"),
        ("46,XX,t(9;22)(q34;q11)", "not a whole chromosome"),
        ("mos 45,X/46,XX", "chromosome number"),
        ("43,XX,-5,-5,-5", "more copies of chromosome 5"),
    ],
)
def test_the_error_names_the_fault_of_a_karyotype(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_iscn(text)


@pytest.mark.parametrize("counts", [{0: 2}, {25: 1}, {3: -1}])
def test_invalid_counts_are_rejected(counts: dict[int, int]) -> None:
    with pytest.raises(ValueError, match="make no karyotype"):
        format_iscn(counts)


@pytest.mark.parametrize(
    "iscn", ["69,XXX", "69,XXY", "69,XYY", "71<3n>,XXY,+4,+9", "92,XXYY", "92,XXXX", "90<4n>,XXXX,-3,-7"]
)
def test_triploid_and_tetraploid_cells_are_polyploid(iscn: str) -> None:
    assert is_polyploid(parse_iscn(iscn))
    assert not is_polyploid(parse_iscn(iscn), unidentified=1)


@pytest.mark.parametrize(
    "iscn",
    [
        "46,XX",
        "54,XX,+4,+6,+10,+14,+17,+18,+21,+21",
        "61<3n>,XX,-1,-2,-3,-4,-5,-6,-7",
        "69<3n>,XXX,+1,+2,+3,-4,-5,-6",
        "91<4n>,XXXYYY,-1,-2,-3",
        "100<4n>,XXXX,+1,+2,+3,+4,+5,+6,+7,+8",
    ],
)
def test_other_counts_and_unbalanced_classes_are_not_polyploid(iscn: str) -> None:
    assert not is_polyploid(parse_iscn(iscn))
