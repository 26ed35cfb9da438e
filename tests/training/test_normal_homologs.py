"""Which chromosomes make the model of normal ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from karyotyping.classification.atypical_templates import DIMENSIONS
from training.embedder.data import CANVAS_SHAPE, Chromosomes
from training.embedder.labelled_images import split_of
from training.normal_homologs import Described, abnormal_cases, pairs_of, read_normal


def test_a_case_with_one_abnormal_image_is_abnormal(tmp_path: Path) -> None:
    notes = {"a": [["normal", "46", ""]], "b": [["normal", "46", ""], ["structural_abnormalities", "46", "9"]]}
    images = [{"case": case, "note": note} for case, own in notes.items() for note in own]
    (tmp_path / "coco.json").write_text(json.dumps({"images": images}))
    assert abnormal_cases(tmp_path / "coco.json") == {"b"}


def test_held_out_and_abnormal_cases_and_nameless_outlines_are_left_out() -> None:
    cases = ["1", "3", "18", "3"]  # held-out, learned, fitted, learned
    assert [split_of(case) for case in cases] == ["held-out", "learned", "fitted", "learned"]
    canvas = np.zeros((4, *CANVAS_SHAPE), np.uint8)
    canvas[:, 30:90, 8:22] = np.linspace(60, 140, 60, dtype=np.uint8)[:, None]
    chromosomes = Chromosomes(
        canvas=canvas,
        class_index=np.array([0, 0, 0, -1]),
        upright=np.ones(4, np.bool_),
        size=np.ones(4, np.float32),
        report=np.full(4, "r"),
        cell=np.array([f"r/{case}" for case in cases]),
        case=np.array([f"r/{case}" for case in cases]),
        name=np.full(4, "f"),
    )
    assert [one.case for one in read_normal([chromosomes], set())] == ["r/3", "r/18"]
    assert [one.case for one in read_normal([chromosomes], {"18"})] == ["r/3"]


def test_only_two_chromosomes_of_a_class_in_a_cell_are_a_pair() -> None:
    values = np.zeros(DIMENSIONS)
    members = [Described(values, index, cell, "case") for index, cell in [(0, "a"), (0, "a"), (0, "b"), (1, "a")]]
    assert pairs_of([*members, *[Described(values, 2, "a", "case")] * 3]) == {0: 1, 1: 0}
