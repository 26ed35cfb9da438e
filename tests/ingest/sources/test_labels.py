"""Labels from text."""

from __future__ import annotations

from datetime import datetime

import pytest

from db.schema import Priority
from ingest.sources.labels import MAX_LABEL_LENGTH, LabelError, Labels, read_label, read_labels


def test_text_becomes_labels_and_defaults_fill_the_rest() -> None:
    values = {"case": " 24-7 ", "tissue": "", "captured_at": "2024-05-31", "priority": "Stat", "path": "a.tif"}
    labels = read_labels(values, Labels("other", lab="north", tissue="blood"))
    assert labels == Labels(
        "24-7", lab="north", tissue="blood", captured_at=datetime(2024, 5, 31).astimezone(), priority=Priority.STAT
    )


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("case", "a\0b", "bad_text"),
        ("case", "a\u200bb", "bad_text"),
        ("lab", "right\u202eto left", "bad_text"),
        ("slide", "x" * (MAX_LABEL_LENGTH + 1), "long_text"),
        ("culture", "?", "no_single_one"),
        ("colony", "Unknown", "no_single_one"),
        ("case", "a\u00adb", "bad_text"),
        ("case", "a\ufeffb", "bad_text"),
        ("case", "a\u3164b", "bad_text"),
        ("case", "a\ufe0fb", "bad_text"),
        ("case", "a\u2028b", "bad_text"),
        ("case", "a\tb", "bad_text"),
        ("case", "\u200b", "bad_text"),
        ("case", "a//b", "bad_path"),
        ("case", "/a", "bad_path"),
        ("case", "a/", "bad_path"),
        ("case", "a/ /b", "bad_path"),
        ("case", ".", "bad_path"),
        ("case", "a/./b", "bad_path"),
        ("case", "../b", "bad_path"),
        ("case", "a\\b", "bad_path"),
        ("case", "x" * (MAX_LABEL_LENGTH + 1), "long_text"),
        ("captured_at", "31.02.2024", "bad_date"),
        ("captured_at", "01/02/2024", "ambiguous_date"),
        ("priority", "now", "bad_priority"),
    ],
)
def test_a_wrong_label_is_named_with_its_column(column: str, value: str, reason: str) -> None:
    with pytest.raises(LabelError) as caught:
        read_labels({column: value})
    assert (caught.value.column, caught.value.reason) == (column, reason)
    assert caught.value.sentence.startswith(column)


@pytest.mark.parametrize(
    ("name", "case"), [("A/1.tif", "A"), ("A/slide 1/2.tif", "A/slide 1"), ("loose.tif", "monday")]
)
def test_a_missing_case_is_the_folder(name: str, case: str) -> None:
    assert Labels().in_folder(name, "monday").case == case
    assert Labels("24-7").in_folder(name, "monday").case == "24-7"


def test_an_unnamed_root_is_a_case_too() -> None:
    assert Labels().in_folder("loose.tif", "").case == "unnamed"


@pytest.mark.parametrize(
    ("text", "case"),
    [
        ("  24-7\n", "24-7"),
        ("24   7", "24 7"),
        ("24\u00a0\u20037", "24 7"),
        ("Mu\u0308ller", "M\u00fcller"),
        ("A/.x/..y", "A/.x/..y"),
        ("x" * MAX_LABEL_LENGTH + " ", "x" * MAX_LABEL_LENGTH),
    ],
)
def test_spellings_of_a_case_are_normalised(text: str, case: str) -> None:
    assert read_labels({"case": text}).case == case
    assert Labels().in_folder("1.tif", text).case == case


@pytest.mark.parametrize("name", ["a//b/1.tif", "./a/1.tif", " /1.tif", "/1.tif", "a\\1.tif", "a\u200b/1.tif"])
def test_a_folder_whose_name_is_no_case_is_an_error(name: str) -> None:
    with pytest.raises(LabelError):
        Labels().in_folder(name, "monday")
    assert Labels("24-7").in_folder(name, "monday").case == "24-7"


def test_an_empty_label_is_an_error_if_it_is_given_alone() -> None:
    with pytest.raises(LabelError) as caught:
        read_label("case", " ")
    assert caught.value.reason == "empty_text"
