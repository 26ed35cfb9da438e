"""The benchmark of cases: damage at its stated rates, and verdicts on known truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy.case_rates import choose_images, count_errors
from benchmarks.accuracy.cases import (
    Case,
    case_truth,
    damage,
    expected_clones,
    karyotype,
    note_of,
    print_cases,
    real_cases,
    simulate,
    summary_of,
    verdict,
)
from karyotyping.case.decision import judge
from karyotyping.case.rates import ErrorRates
from karyotyping.nomenclature.classes import CLASS_NAMES
from karyotyping.nomenclature.iscn import parse_iscn
from tests.support.benchmark import run_benchmark
from training.embedder.labelled_images import split_of

FEMALE, TRISOMY, MONOSOMY = (karyotype(parse_iscn(text)) for text in ("46,XX", "47,XX,+21", "45,XX,-7"))


def test_damage_happens_at_its_rates() -> None:
    rng = np.random.default_rng(0)
    copies = parse_iscn("46,XX")
    cells = [damage(copies, 0.5, number, rng) for number in range(2000)]
    lost = np.mean([cell.class_counts.get(21, 0) < 2 for cell in cells])
    rates = ErrorRates()
    expected = 2 * 0.5 * (rates.lost[6] + rates.misread[6] + rates.unknown)
    assert lost == pytest.approx(expected, rel=0.3)
    extra = np.mean([cell.class_counts.get(24, 0) for cell in cells])
    read_as_y = sum(number * rates.misread_by_class()[class_id - 1, 23] for class_id, number in copies.items())
    assert extra == pytest.approx(0.5 * (rates.extra[6] + read_as_y), rel=0.5)
    assert damage(copies, 0.0, 1, rng).class_counts == copies


def test_clones_are_expected_where_iscn_counts_them() -> None:
    assert expected_clones([FEMALE] * 18 + [TRISOMY] * 2) == {FEMALE, TRISOMY}
    assert expected_clones([FEMALE] * 19 + [TRISOMY]) == {FEMALE}
    assert expected_clones([FEMALE] * 18 + [MONOSOMY] * 2) == {FEMALE}
    assert expected_clones([FEMALE] * 17 + [MONOSOMY] * 3) == {FEMALE, MONOSOMY}


@pytest.mark.parametrize(
    ("found", "truth", "held"),
    [
        ("46,XX", FEMALE, {"normal", "exact", "known"}),
        ("47,XX,+21", TRISOMY, {"abnormal", "exact", "known"}),
        ("47,XX,+21", FEMALE, {"abnormal", "false abnormal"}),
        ("46,XX", TRISOMY, {"normal", "false normal"}),
        ("47,XX,+21", MONOSOMY, {"abnormal", "wrong clones"}),
    ],
)
def test_a_verdict_compares_clones_with_the_truth(
    found: str, truth: frozenset[tuple[int, int]], held: set[str]
) -> None:
    cells = [damage(parse_iscn(found), 0.0, number, np.random.default_rng(0)) for number in range(5)]
    case = Case("kind", cells, [truth] * 5)
    assert verdict(case, judge(cells)) == held


def test_lightly_damaged_cases_are_exact() -> None:
    rng = np.random.default_rng(1)
    for kind in ("normal", "+21", "XYY", "69,XXX", "mosaic, 50 %"):
        case = simulate(kind, 20, 0.02, rng)
        assert "exact" in verdict(case, judge(case.cells)), kind


def test_errors_are_those_between_boxes() -> None:
    truth = [{"category_id": k, "bbox": [20 * k, 0, 10, 10]} for k in (1, 2, 21, 22)]
    found = [{"class_id": k, "box": [20 * at + 3, 1, 5, 5]} for k, at in ((1, 1), (3, 2), (1, 21), (5, 40))]
    assert sorted(count_errors(truth, found, (3, 1, 2, 4))) == [
        ("extra", 5),
        ("lost", 22),
        ("outside", 21),
        ("right", 1),
        ("within", 2),
    ]


def test_images_of_the_rates_are_of_other_cases() -> None:
    images = [{"id": 10 * c + n, "case": str(c), "note": ["normal"]} for c in range(90) if c != 1 for n in range(3)]
    images.append({"id": 999, "case": "1", "note": ["number_abnormalities"]})
    rates, normal = choose_images(images, "rates"), choose_images(images, "normal")
    used = [str(c) for c in range(90) if c != 1 and split_of(str(c)) != "learned"]
    assert {image["case"] for image in normal} == set(used[:30])
    assert rates
    assert not {image["case"] for image in rates} & {image["case"] for image in normal}
    assert [note_of([image]) for image in choose_images(images, "abnormal")] == ["number"]


def test_a_slide_has_the_published_karyotypes_of_its_metaphases(tmp_path: Path) -> None:
    """A second image of a metaphase is none of them."""
    published = {"S1": ["46,XY", "46,XY", "45,XY,-20"], "S2": ["47,XX,+9", "47,XX,+9", "46,XX"]}
    images = [
        {"id": 10 * place + n, "slide": slide, "counts_iscn": by_name(text), "duplicate_of": None}
        for place, (slide, texts) in enumerate(published.items())
        for n, text in enumerate(texts)
    ]
    images.append({**images[0], "id": 99, "duplicate_of": "first.png"})
    (tmp_path / "coco.json").write_text(json.dumps({"images": images, "annotations": []}))
    cases = real_cases(tmp_path)
    assert {slide: [karyotype(image["copies"]) for image in own] for slide, own in cases.items()} == {
        slide: [karyotype(parse_iscn(text)) for text in texts] for slide, texts in published.items()
    }
    assert [note_of(own) for own in cases.values()] == ["normal", "number"]
    assert case_truth(cases["S1"])[2] == karyotype(parse_iscn("45,XY,-20"))


def by_name(text: str) -> dict[str, int]:
    counts = parse_iscn(text)
    return {name: counts.get(k, 0) for k, name in enumerate(CLASS_NAMES, start=1)}


def test_every_case_of_results_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    cells = [damage(parse_iscn("46,XX"), 0.0, number, np.random.default_rng(0)) for number in range(5)]
    print_cases([Case("normal", cells, [FEMALE] * 5, "S1"), Case("normal", [], [FEMALE], "S2")], each=True)
    printed = capsys.readouterr().out
    assert "- S1, normal (exact, known): normal. 5 of 5 cells are complete and fit 46,XX" in printed
    assert "- S2, normal (clones not known): insufficient. No image of the case has a result." in printed


def test_a_result_is_read_as_a_cell() -> None:
    row = {"class_id": 21, "class_score": 0.5, "top5_classes": [21, 22], "top5_scores": [0.5, 0.5], "score": 0.8}
    row |= {"flags": ["touching"]}
    edits = {"outline_edits": 1.5, "class_edits": 0.5}
    rows = [row, {**row, "class_id": None}]
    cell = summary_of({"id": 3, "iscn": "46,XX", "score": 0.7, "chromosomes": rows, **edits})
    assert (cell.class_counts, cell.chromosome_count, cell.doubts) == ({21: 1}, 2, {(21, 22): 1.0})
    assert (cell.outline_doubts, cell.expected_edits, cell.touching) == ({21: 0.25}, 2.0, 2)


def test_the_benchmark_prints_its_tables(tmp_path: Path) -> None:
    folder = tmp_path / "tseng"
    folder.mkdir()
    boxes = [class_id for class_id, copies in parse_iscn("46,XX").items() for _ in range(copies)]
    images = [{"id": n, "file_name": f"{n}.jpg", "case": "1", "note": ["normal", "46", ""]} for n in range(4)]
    annotations = [{"image_id": n, "category_id": k, "bbox": [0, 0, 1, 1]} for n in range(4) for k in boxes]
    (folder / "coco.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    words = ("--cases", "1", "--cells", "4", "--levels", "0.01", "--tseng", "--data", tmp_path)
    printed = run_benchmark("accuracy.cases", *words)
    assert "| normal, three cells or more | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 1 |" in printed
    assert "| 69,XXX | 1 |" in printed
