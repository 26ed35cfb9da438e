"""Labels of an image. Text from outside becomes a label here and nowhere else."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from db.enums import Priority
from db.spelling import normalise
from ingest.rejections import IngestError
from ingest.sources.dates import DateError, read_date

MAX_LABEL_LENGTH = 200  # characters
MAX_PLANE = 32_767  # smallint of PostgreSQL
_NO_VALUES = frozenset({"?", "-", "--", "n/a", "na", "none", "unknown", "not known", "mixed", "various", "several"})
COLUMNS = (
    "case",
    "lab",
    "slide",
    "culture",
    "colony",
    "tissue",
    "banding",
    "microscope",
    "captured_at",
    "channel",
    "plane",
    "priority",
)
"""Labels that can be given as text."""
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_UNSEEN_RANGES = (
    *((0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800), (0x3164, 0x3164)),
    *((0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0000, 0xE0FFF)),
)
"""Code points of other categories that nothing shows (Unicode 16, Default_Ignorable_Code_Point, and the blank of
Braille)."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of one image, or the labels that a source gives to images without their own."""

    case: str = ""
    """Accession number; empty only in a source, whose images then take it from their folder."""
    lab: str | None = None
    """Laboratory that the image is from. Laboratories take turns at the workers."""
    slide: str | None = None
    culture: str | None = None
    """Culture that the cell was grown in."""
    colony: str | None = None
    """Colony of an in situ culture; its name is unique in the culture."""
    tissue: str | None = None
    banding: str | None = None
    microscope: str | None = None
    captured_at: datetime | None = None
    """With a time zone."""
    channel: str | None = None
    """Channel to analyse, by name in any case or number from 0; None if the file has one."""
    plane: int | None = None
    """Plane to analyse, from 0; None if the file has one."""
    priority: Priority = Priority.ROUTINE
    priority_given: bool = field(default=False, compare=False)
    """Whether ``priority`` was given as text and is not the default."""
    case_from_folder: bool = field(default=False, compare=False)
    """Whether ``case`` is the name of a folder; such a case is new, or of the same folder."""

    def in_folder(self, name: str, root: str) -> Labels:
        """Return these labels; a missing case is named after the folder of the image.

        Two patients' slides of the same name must not become one case, so the whole path of the folder counts.

        Args:
            name: Path of the image within its source.
            root: Case of images that are in no folder of the source.

        Raises:
            LabelError: The name of the folder is no label; see :func:`read_label`.

        >>> Labels().in_folder("A/slide 1/cell 2.tif", "monday").case
        'A/slide 1'
        """
        if self.case:
            return self
        if "\\" in name:  # a path of another system, whose folders would all be one case
            raise LabelError("case", "bad_path", where="Name of the folder: ")
        folder, separator, _ = name.rpartition("/")
        case = read_label("case", folder if separator else root or "unnamed", where="Name of the folder: ")
        return replace(self, case=case, case_from_folder=True)


NO_LABELS = Labels()


class LabelError(IngestError):
    """A text that cannot be the label ``column``."""

    def __init__(self, column: str, reason: str, *, where: str = "", **facts: object) -> None:
        self.column = column
        self.facts = {"column": column, **facts}
        self.where = where
        super().__init__(reason, where=where, **self.facts)


def read_labels(values: Mapping[str, str], defaults: Labels = NO_LABELS) -> Labels:
    """Return the labels that ``values`` holds as text, completed by ``defaults``.

    Args:
        values: Text by column, of :data:`COLUMNS`; others are ignored. A blank text is left out.
        defaults: Labels for what ``values`` leaves out.

    Raises:
        LabelError: See :func:`read_label`; also ``bad_date``, ``ambiguous_date``, ``bad_plane``,
            ``bad_priority`` or ``no_single_one`` (a culture or colony that names none, such as ``?``).

    >>> read_labels({"case": " 24-7 ", "priority": "STAT"}).case
    '24-7'
    """
    text = {column: read_label(column, value) for column in COLUMNS if (value := values.get(column, "")).strip()}
    for column in ("culture", "colony"):
        if text.get(column, "").casefold() in _NO_VALUES:
            raise LabelError(column, "no_single_one", value=text[column])
    given = "priority" in text
    return Labels(
        case=text.get("case") or defaults.case,
        lab=text.get("lab") or defaults.lab,
        slide=text.get("slide") or defaults.slide,
        culture=text.get("culture") or defaults.culture,
        colony=text.get("colony") or defaults.colony,
        tissue=text.get("tissue") or defaults.tissue,
        banding=text.get("banding") or defaults.banding,
        microscope=text.get("microscope") or defaults.microscope,
        captured_at=_moment(text["captured_at"]) if "captured_at" in text else defaults.captured_at,
        channel=text.get("channel") or defaults.channel,
        plane=_plane(text["plane"]) if "plane" in text else defaults.plane,
        priority=_priority(text["priority"]) if given else defaults.priority,
        priority_given=given or defaults.priority_given,
    )


@lru_cache(maxsize=1024)  # most rows of a manifest repeat the labels of the row before
def read_label(column: str, text: str, *, where: str = "") -> str:
    r"""Return ``text`` as the label ``column``: in NFC, trimmed, with single blanks.

    Args:
        column: One of :data:`COLUMNS`.
        text: As it was given.
        where: Start of the sentence of an error.

    Raises:
        LabelError: ``empty_text``, ``bad_text`` (characters that are not seen) or ``long_text``; of a case also
            ``bad_path`` (backslashes, or a part between slashes that is empty, ``.`` or ``..``).

    >>> read_label("case", " A /  slide 1 ")
    'A / slide 1'
    """
    label = normalise(text)
    if not label:
        raise LabelError(column, "empty_text", where=where)
    written = text.strip()
    if not (written.isascii() and written.isprintable()) and any(map(_is_unseen, written)):
        raise LabelError(column, "bad_text", where=where)
    if len(label) > MAX_LABEL_LENGTH:
        raise LabelError(column, "long_text", where=where, limit=MAX_LABEL_LENGTH)
    if column == "case" and ("\\" in label or any(part.strip() in ("", ".", "..") for part in label.split("/"))):
        raise LabelError(column, "bad_path", where=where)
    return label


def _is_unseen(character: str) -> bool:
    """Return whether a character is shown by nothing, or changes how others are shown."""
    if unicodedata.category(character) in _UNSEEN_CATEGORIES:
        return True
    return any(first <= ord(character) <= last for first, last in _UNSEEN_RANGES)


def _moment(text: str) -> datetime:
    """Return the time that ``text`` says; see :func:`ingest.sources.dates.read_date`."""
    try:
        return read_date(text)
    except DateError as error:
        raise LabelError("captured_at", error.reason, value=text) from error


def _plane(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= MAX_PLANE):
        raise LabelError("plane", "bad_plane", value=text, last=MAX_PLANE)
    return int(text)


def _priority(text: str) -> Priority:
    try:
        return Priority.parse(text.lower())
    except ValueError as error:
        raise LabelError("priority", "bad_priority", value=text) from error
