"""What a laboratory asks of a case: cells by specimen, and the mosaicism that they exclude."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import pytest

from karyotyping.case.cell import CellSummary
from karyotyping.case.decision import judge
from karyotyping.case.policy import read_policy
from karyotyping.case.rates import ErrorRates
from karyotyping.case.sufficiency import Sufficiency, assess, excluded_share
from karyotyping.nomenclature.cell_lines import Specimen
from karyotyping.nomenclature.iscn import parse_iscn

SHIPPED = (resources.files("karyotyping.case") / "policies.toml").read_text("utf-8")


def case(karyotypes: list[str], tissue: str | None = None, **labels: Sequence[object]) -> Sufficiency:
    cells = []
    for number, karyotype in enumerate(karyotypes):
        counts = parse_iscn(karyotype)
        of_cell = {name: values[number % len(values)] for name, values in labels.items()}
        cells.append(CellSummary(number, counts, sum(counts.values()), 0.8, **of_cell))  # type: ignore[arg-type]
    return assess(cells, judge(cells), read_policy(), tissue)


def missing(found: Sufficiency) -> dict[str, int]:
    return {one.name: one.missing for one in found.requirements if one.missing}


def test_every_specimen_names_its_source() -> None:
    policy = read_policy()
    assert {"blood", "bone marrow", "chorionic villi", "other"} < {one.name for one in policy.specimens}
    assert all(one.source for one in policy.specimens)
    assert policy.of("bone_marrow").specimen == Specimen.ACQUIRED
    assert [policy.of(tissue).name for tissue in ("CVS", "AF in-situ", None, "skin")] == [
        "chorionic villi",
        "amniotic fluid, in situ",
        "other",
        "other",
    ]


def test_a_complete_case_of_blood_is_met() -> None:
    found = case(["46,XX"] * 20, "blood", band_level=[600])
    assert (found.is_met, found.why) == (True, "The policy for blood is met.")
    assert found.policy == "1, blood"


def test_what_is_missing_is_counted() -> None:
    found = case(["46,XX"] * 4, "Blood", band_level=[550])
    assert missing(found) == {"counted": 16, "analysed": 1}
    assert found.why == (
        "16 more cells counted of 20: the policy for blood. 1 more cells analysed of 5: the policy for blood."
    )
    assert missing(case([], "blood")) == {"counted": 20, "analysed": 5, "karyotyped": 2}


def test_a_suspected_mosaic_takes_more_cells() -> None:
    found = case(["46,XX"] * 18 + ["47,XX,+21"] * 2, "blood")
    assert missing(found) == {"counted": 10}
    assert "mosaicism is suspected or found" in found.why


def test_cultures_and_colonies_are_counted_where_they_are_recorded() -> None:
    assert "cultures of the cells are not recorded" in case(["46,XX"] * 20, "cvs").why
    assert missing(case(["46,XX"] * 20, "cvs", culture=["A"])) == {"cultures": 1}
    assert missing(case(["46,XX"] * 20, "cvs", culture=["A", "B"])) == {}
    in_situ = case(["46,XX"] * 15, "af in situ", culture=["A", "B"], colony=[str(n) for n in range(12)])
    assert missing(in_situ) == {"colonies": 3}


def test_a_colony_is_named_within_its_culture() -> None:
    """Colony 1 of culture A is another one than colony 1 of culture B."""
    colonies = [str(n // 2) for n in range(16)]
    in_situ = case(["46,XX"] * 16, "af in situ", culture=["A", "B"], colony=colonies)
    assert missing(in_situ) == {}
    in_one_culture = case(["46,XX"] * 16, "af in situ", culture=["A"], colony=colonies)
    assert missing(in_one_culture) == {"cultures": 1, "colonies": 7}


def test_a_low_band_level_is_a_sentence_and_changes_nothing_else() -> None:
    low, high, unknown = (
        case(["46,XX"] * 20, "blood", band_level=levels) for levels in ([410, 300], [410, 550], [600, *[None] * 19])
    )
    assert "Band level 410, 550 wanted: small structural changes may be missed." in low.why
    assert (high.band_level, high.why) == (550, "The policy for blood is met.")
    assert unknown.band_level is None
    assert "The band level is unknown, 550 wanted." in unknown.why
    assert low.requirements == high.requirements == unknown.requirements
    assert low.is_met
    assert "and level" not in case(["46,XX"] * 20, "bone marrow").why


def test_cells_of_a_flask_are_not_independent() -> None:
    assert "not independent" in case(["46,XX"] * 20, "amniotic fluid", culture=["A", "B"]).why


def test_unreadable_cells_are_not_counted() -> None:
    burst = parse_iscn("46,XX")
    burst = {class_id: copies for class_id, copies in burst.items() if class_id > 8}
    cells = [CellSummary(n, parse_iscn("46,XX"), 46, 0.8) for n in range(5)]
    cells.append(CellSummary(9, burst, sum(burst.values()), 0.8))
    found = assess(cells, judge(cells), read_policy(), "blood")
    assert found.requirements[0].found == 5


@pytest.mark.parametrize(("cells", "share"), [(14, 0.20), (20, 0.14), (29, 0.10), (50, 0.06), (59, 0.05)])
def test_excluded_mosaicism_is_that_of_the_published_table(cells: int, share: float) -> None:
    """Hook 1977, at 95 %, in percent rounded up."""
    found = excluded_share(cells)
    assert found is not None
    assert math.ceil(100 * found) == round(100 * share)
    assert (1 - found) ** cells == pytest.approx(0.05)


def test_miscounting_excludes_less() -> None:
    perfect, real = excluded_share(20), excluded_share(20, miscounted=0.2)
    assert perfect is not None
    assert real == pytest.approx(perfect / 0.8)
    assert (excluded_share(0), excluded_share(1, miscounted=0.2)) == (None, None)
    assert 0.02 < ErrorRates().hidden_gain() < 0.2


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("analyse = 5", "analyse = 25", "'blood' contradicts itself"),
        ("cultures = 1", "cultures = 30", "more cultures or colonies than cells"),
        ("count = 20", "count = -1", "greater than or equal to 0"),
        ("band_level = 550", "band_level = -1", "greater than or equal to 0"),
        ('clone_unit = "culture"', 'clone_unit = "flask"', "clone_unit"),
        ("alpha = 0.05", "alpha = 5", "less than 1"),
        ('"pb"]', '"cvs"]', "tissue 'cvs' is listed twice"),
        ('name = "other"', 'name = "skin"', "named 'other' is missing"),
        ("karyotype = 2", "karyotypes = 2", "Extra inputs"),
        ('version = "1"', "version =", "is not TOML"),
    ],
)
def test_a_policy_that_is_wrong_gets_a_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(SHIPPED.replace(old, new, 1))
    with pytest.raises(ValueError, match=sentence):
        read_policy(file)
    file.write_text(SHIPPED)
    assert read_policy(file) == read_policy()
