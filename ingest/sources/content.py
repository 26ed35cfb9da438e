"""The answer to a file that is not named like an image: taken, rejected, or passed over."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from ingest.rejections import Rejected, rejected
from karyotyping.image.formats import IMAGE_SUFFIXES, format_by_name, format_of, suffix_of

HIDDEN = "hidden"
IN_REPORT = "in a report of karyoflow"
REPORT_PAGES = frozenset({"report.html", "report.json"})
PICTURE_FOLDERS = frozenset({"karyograms", "originals", "overlays"})
"""Folders of a report, whose pictures are images by name and content."""
_NOT_IMAGES = frozenset(
    (
        *(".csv", ".tsv", ".txt", ".md", ".log", ".json", ".jsonl", ".xml", ".html", ".htm", ".css", ".js", ".yaml"),
        *(".yml", ".toml", ".ini", ".cfg", ".pdf", ".rtf", ".doc", ".docx", ".odt", ".xls", ".xlsx", ".xlsm", ".ods"),
        *(".ppt", ".pptx", ".odp", ".parquet", ".db", ".sqlite", ".lnk", ".url", ".eml", ".msg", ".md5", ".sha256"),
    )
)
"""Suffixes of files that are no images, whatever they hold."""
_SHORT_SUFFIX = re.compile(r"\.[a-z0-9_-]{1,12}")
_CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f\x7f]")


class PassedOver(NamedTuple):
    """A file that is clearly no image; it is counted by its ``kind``."""

    name: str
    kind: str
    """Its suffix, :data:`HIDDEN`, :data:`IN_REPORT`, or a word for its content."""


def describe_passed_over(counts: Mapping[str, int]) -> str:
    """Return the counts of files passed over as text, the most frequent kind first.

    >>> describe_passed_over({".txt": 2, ".xml": 10})
    '12 files passed over: 10 .xml, 2 .txt'
    """
    if not counts:
        return ""
    files = sum(counts.values())
    kinds = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return f"{files} file{'s' * (files != 1)} passed over: {', '.join(f'{count} {kind}' for kind, count in kinds)}"


def is_image_name(name: str) -> bool:
    """Return whether ``name`` has the suffix of an image; such a file is never passed over.

    >>> is_image_name("A/cell 1.TIF"), is_image_name("notes.txt"), is_image_name("cell 1")
    (True, False, False)
    """
    return suffix_of(name) in IMAGE_SUFFIXES


def is_no_image(rejection: Rejected) -> bool:
    """Return whether a rejected file neither was an image nor had the name of one."""
    return rejection.reason == "not_an_image" and not is_image_name(rejection.name)


def holds_report(names: Collection[str]) -> bool:
    """Return whether a folder with files and folders of these names is a report of karyoflow.

    >>> holds_report({"report.html", "karyograms", "cases.csv"}), holds_report({"report.html", "a.tif"})
    (True, False)
    """
    return not REPORT_PAGES.isdisjoint(names) and not PICTURE_FOLDERS.isdisjoint(names)


def judge_name(name: str) -> Rejected | PassedOver | None:
    """Return the answer that the name of a file decides alone; None if its content decides.

    >>> judge_name("A/notes.XML").kind, judge_name("slide.vsi").reason, judge_name("cell 1.tif")
    ('.xml', 'unsupported_format', None)
    """
    suffix = suffix_of(name)
    if suffix in _NOT_IMAGES:
        return PassedOver(name, suffix)
    if name.rpartition("/")[2].casefold().startswith("thumbs.db"):  # also its streams, as "Thumbs.db:encryptable"
        return PassedOver(name, ".db")
    decided = format_by_name(name)
    return None if decided is None else rejected(name, "unsupported_format", kind=decided.name)


def judge_content(name: str, head: bytes) -> Rejected | PassedOver | None:
    r"""Return the answer to a file that is not named like an image; None if it is to be decoded.

    Args:
        name: Name of the file.
        head: Its first bytes, as many as :data:`karyotyping.image.formats.HEAD_BYTES`.

    >>> judge_content("notes", b"Dear colleague,\n").kind, judge_content("core", bytes(9)).reason
    ('text', 'not_an_image')
    """
    file_format = format_of(head)
    if file_format is None or (file_format.name == "BMP" and _is_text(head)):
        if not head:
            return None  # the decoder says that it is empty
        return PassedOver(name, _kind(name, "text")) if _is_text(head) else rejected(name, "not_an_image")
    match file_format.role:
        case "decoded":
            return None
        case "document":
            return PassedOver(name, _kind(name, file_format.name))
        case "archive":
            return rejected(name, "nested_archive", kind=file_format.name)
        case "image":
            return rejected(name, "unsupported_format", kind=file_format.name)


def _kind(name: str, content: str) -> str:
    suffix = suffix_of(name)
    return suffix if _SHORT_SUFFIX.fullmatch(suffix) else content


def _is_text(head: bytes) -> bool:
    """Return whether there is no control character, in UTF-16 if a byte order mark says so."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head[: len(head) // 2 * 2].decode("utf-16", "replace").encode("utf-8", "replace")
    return _CONTROL_BYTES.search(head) is None
