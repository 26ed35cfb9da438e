"""A class recurs if more cells have the flag than chance explains."""

from __future__ import annotations

import pytest

from karyotyping.case.recurrence import recurrent_classes


@pytest.mark.parametrize(
    ("flagged", "cells", "expected"),
    [
        ({9: [1]}, 1, ()),
        ({9: [1], 11: [2]}, 20, ()),
        ({9: [1, 2]}, 2, (9,)),
        ({9: [1, 2]}, 20, ()),
        ({11: [4, 5, 6, 7], 9: [1, 2, 3, 4], 2: [1]}, 20, (9, 11)),
        ({}, 0, ()),
    ],
)
def test_a_class_recurs(flagged: dict[int, list[int]], cells: int, expected: tuple[int, ...]) -> None:
    assert recurrent_classes(flagged, cells) == expected
