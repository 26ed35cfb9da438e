"""Corrections as documents."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError

from db.enums import ReviewAction
from karyotyping.review import parse_correction, to_detail
from karyotyping.review.corrections import Correction
from karyotyping.review.regions import Box, Polygon, draw_region

BOX = {"region": {"kind": "box", "x": 1, "y": 2, "width": 3, "height": 4}, "class_id": None}
DETAILS: dict[str, dict[str, Any]] = {
    "reclassify": {"chromosome": 3, "class_id": 21},
    "reject": {"chromosome": 3, "because": "a nucleus"},
    "split": {"chromosome": 3, "parts": [BOX, {**BOX, "class_id": 1}]},
    "merge": {"chromosomes": [3, 4], "class_id": 24},
    "flip": {"chromosome": 0},
    "add": {"part": {"region": {"kind": "polygon", "points": [[0.5, 0.0], [9.0, 0.0], [9.0, 9.0]]}, "class_id": 4}},
    "reject_cell": {"because": "two cells"},
    "comment": {"text": "polyploid line?"},
    "undo": {"review": 7},
}


def test_the_database_and_the_models_know_the_same_actions() -> None:
    actions = {get_args(model.model_fields["action"].annotation)[0] for model in get_args(get_args(Correction)[0])}
    assert actions == set(get_args(ReviewAction)) == set(DETAILS)


@pytest.mark.parametrize("action", DETAILS)
def test_a_stored_correction_is_read_again(action: str) -> None:
    correction = parse_correction(action, DETAILS[action])
    assert (correction.action, to_detail(correction)) == (action, DETAILS[action])


def test_a_class_that_is_not_known_is_stored() -> None:
    detail = {"chromosome": 3, "class_id": None}
    assert to_detail(parse_correction("reclassify", detail)) == detail


@pytest.mark.parametrize(
    ("action", "detail"),
    [
        ("rename", {}),
        ("reclassify", {"chromosome": 3, "class_id": 25}),
        ("reclassify", {"chromosome": 3}),
        ("reject", {"chromosome": -1}),
        ("reject", {"chromosome": 1, "color": "red"}),
        ("split", {"chromosome": 1, "parts": [BOX]}),
        ("merge", {"chromosomes": [3, 3]}),
        ("add", {"part": {"region": {"kind": "polygon", "points": [[0, 0], [1, float("nan")], [1, 1]]}}}),
        ("add", {"part": {"region": {"kind": "polygon", "points": [[0, 0], [1, 1]]}}}),
        ("add", {"part": {"region": {"kind": "box", "x": 0, "y": 0, "width": 0, "height": 4}}}),
        ("comment", {"text": ""}),
        ("comment", {"text": "a\0b"}),
        ("undo", {"review": 0}),
    ],
)
def test_a_wrong_document_is_refused(action: str, detail: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parse_correction(action, detail)


def test_a_region_is_cut_to_the_image() -> None:
    triangle = Polygon(points=((-3, -3), (30, -3), (-3, 30)))
    assert draw_region(triangle, (5, 7)).all()
    assert draw_region(Box(x=2, y=1, width=99, height=1), (3, 4)).astype(int).tolist() == [
        [0, 0, 0, 0],
        [0, 0, 1, 1],
        [0, 0, 0, 0],
    ]
    assert not np.any(draw_region(Box(x=-9, y=-9, width=3, height=3), (5, 7)))
