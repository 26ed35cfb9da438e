"""Cases from simulated images are planned by kind, stored, and judged against the truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.accuracy.cases import KINDS, verdict
from benchmarks.accuracy.full_stack_cases import planned_cases, print_errors, read_case, truth_of
from karyotyping.case.decision import judge
from karyotyping.nomenclature.cell_lines import parse_lines
from training.simulation.dataset import simulate_case


def test_kinds_take_turns_and_cells_add_up() -> None:
    plans = list(planned_cases(2 * len(KINDS), 20))
    assert [kind for _, kind, _ in plans] == [*KINDS, *KINDS]
    assert len({accession for accession, _, _ in plans}) == len(plans)
    assert all(sum(line.cells for line in parse_lines(text)) == 20 for _, _, text in plans)


def test_stored_results_are_judged_and_their_errors_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = []
    for number, image in enumerate(simulate_case("A", "47,XY,+21[3]", 3, seed=1)):
        truth = truth_of(image)
        chromosomes = [
            {
                "box": item["bbox"],
                "score": 0.999,
                "class_id": item["category_id"],
                "class_score": 0.99,
                "top5_classes": [item["category_id"]],
                "top5_scores": [0.99],
                "flags": [],
            }
            for item in truth
        ]
        if number == 0:
            chromosomes[0]["class_id"] = None
        cell = {"iscn": "46,XY", "score": 0.9, "outline_edits": 0.6, "class_edits": 0.1, "chromosomes": chromosomes}
        results.append({"id": number, "quality": "good", "truth": truth, **cell})
    results.append({"id": 3, "quality": "poor", "truth": results[0]["truth"]})
    file = tmp_path / "A.json"
    file.write_text(json.dumps({"kind": "+21", "karyotype": "47,XY,+21[3]", "results": results}))
    case, read = read_case(file)
    assert (len(case.cells), len(case.truth), case.kind) == (3, 4, "+21")
    assert "known" in verdict(case, judge(case.cells))
    print_errors(read)
    assert "| good | 3 | 0.00 | 0.00 | 0.33 | 0.00 |" in capsys.readouterr().out
