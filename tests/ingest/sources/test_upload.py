"""Uploaded files."""

from __future__ import annotations

import io

import pytest

from ingest.rejections import Rejected
from ingest.sources.base import Item
from ingest.sources.labels import Labels
from ingest.sources.upload import MAX_NAME_LENGTH, UploadedFile, UploadSource, safe_name
from tests.support.unknown_files import ANSWERS, FILES, answer_by_name


def test_files_are_items_of_one_case_in_the_order_sent() -> None:
    files = [UploadedFile("b.tif", io.BytesIO(b"second")), UploadedFile("../../a.tif", io.BytesIO(b"first"))]
    source = UploadSource(files, Labels("C-1"))
    items = [item for item in source.items() if isinstance(item, Item)]
    assert (source.kind, source.source) == ("upload", "2 uploaded files")
    assert [(item.name, item.labels.case, item.read(10)) for item in items] == [
        ("b.tif", "C-1", b"second"),
        ("a.tif", "C-1", b"first"),
    ]


def test_a_large_file_is_rejected() -> None:
    (item,) = UploadSource([UploadedFile("a.tif", io.BytesIO(b"12345"))], Labels("C-1")).items()
    assert isinstance(item, Item)
    rejection = item.read(4)
    assert isinstance(rejection, Rejected)
    assert (rejection.reason, "5 bytes" in rejection.sentence) == ("too_many_bytes", True)


@pytest.mark.parametrize(
    "name", ["a\nb.tif", "..", ".hidden.tif", "C:\\images\\a.tif", "/etc/passwd", "", None, "x" * 999]
)
def test_a_clients_name_is_printable_short_and_no_path(name: str | None) -> None:
    safe = safe_name(name)
    assert safe.isprintable()
    assert 0 < len(safe) <= MAX_NAME_LENGTH + 1
    assert not safe.startswith(".")
    assert "/" not in safe
    assert "\\" not in safe


def test_files_without_a_known_suffix_are_judged_by_their_content() -> None:
    files = [UploadedFile(name, io.BytesIO(data)) for name, data in FILES.items()]
    answers = answer_by_name(UploadSource(files, Labels("A")).items())
    answers[".DS_Store"] = "hidden" if answers.pop("_.DS_Store") == "not_an_image" else ""
    assert answers == ANSWERS
