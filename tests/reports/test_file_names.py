"""Names of files that are made of texts from outside."""

from __future__ import annotations

import pytest

from reports.file_names import MAX_STEM_BYTES, safe_stem


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("24-7_cell 1", "24-7_cell 1"),
        ("A/slide 1_cell", "A_slide 1_cell"),
        ("../../etc/passwd", "_.._.._etc_passwd"),
        ("a\\b:c*d?", "a_b_c_d_"),
        ("-rf", "_-rf"),
        ("new\nline\udce9", "new_line_"),
        ("", "_"),
        ("\U0001f9ec", "\U0001f9ec"),
    ],
)
def test_a_stem_is_one_component_of_a_path(text: str, stem: str) -> None:
    assert safe_stem(text) == stem


@pytest.mark.parametrize("letter", ["x", "ü", "\U0001f9ec"])
def test_long_texts_are_cut_and_stay_different(letter: str) -> None:
    first, second = safe_stem(letter * 300), safe_stem(letter * 301)
    assert len(first.encode()) <= MAX_STEM_BYTES
    assert first != second
    assert first.startswith(letter * 20)
