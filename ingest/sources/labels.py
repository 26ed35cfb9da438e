"""Labels of an image. Text from outside becomes a label here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath

from db.enums import Priority
from ingest.rejections import IngestError

MAX_LABEL_LENGTH = 200  # characters
COLUMNS = ("case", "lab", "slide", "tissue", "banding", "microscope", "captured_at", "priority")
"""Labels that can be given as text."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of one image, or the labels that a source gives to images without their own."""

    case: str = ""
    """Accession number; empty only in a source, whose images then take it from their folder."""
    lab: str | None = None
    """Laboratory that the image is from. Laboratories take turns at the workers."""
    slide: str | None = None
    tissue: str | None = None
    banding: str | None = None
    microscope: str | None = None
    captured_at: datetime | None = None
    """With a time zone."""
    priority: Priority = Priority.ROUTINE

    def in_folder(self, name: str, root: str) -> Labels:
        """Return these labels; a missing case is named after the folder of the image.

        Two patients' slides of the same name must not become one case, so the whole path of the folder counts.

        Args:
            name: Path of the image within its source.
            root: Case of images that are in no folder of the source.

        >>> Labels().in_folder("A/slide 1/cell 2.tif", "monday").case
        'A/slide 1'
        """
        if self.case:
            return self
        folder = PurePosixPath(name).parent.as_posix()
        return replace(self, case=folder if folder != "." else root or "unnamed")


NO_LABELS = Labels()


class LabelError(IngestError):
    """A text that cannot be the label ``column``."""

    def __init__(self, column: str, reason: str, **facts: object) -> None:
        self.column = column
        self.facts = {"column": column, **facts}
        super().__init__(reason, where="", **self.facts)


def read_labels(values: Mapping[str, str], defaults: Labels = NO_LABELS) -> Labels:
    """Return the labels that ``values`` holds as text, completed by ``defaults``.

    Args:
        values: Text by column, of :data:`COLUMNS`; others are ignored. Blanks around it are removed.
        defaults: Labels for what ``values`` leaves out.

    Raises:
        LabelError: ``bad_text``, ``long_text``, ``bad_date`` or ``bad_priority``.

    >>> read_labels({"case": " 24-7 ", "priority": "STAT"}).case
    '24-7'
    """
    text = {column: values.get(column, "").strip() for column in COLUMNS}
    for column, value in text.items():
        if not value.isprintable():
            raise LabelError(column, "bad_text")
        if len(value) > MAX_LABEL_LENGTH:
            raise LabelError(column, "long_text", limit=MAX_LABEL_LENGTH)
    return Labels(
        case=text["case"] or defaults.case,
        lab=text["lab"] or defaults.lab,
        slide=text["slide"] or defaults.slide,
        tissue=text["tissue"] or defaults.tissue,
        banding=text["banding"] or defaults.banding,
        microscope=text["microscope"] or defaults.microscope,
        captured_at=_moment(text["captured_at"]) or defaults.captured_at,
        priority=_priority(text["priority"], defaults.priority),
    )


def _moment(text: str) -> datetime | None:
    """Return the time that ``text`` says, in UTC if it names no zone."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise LabelError("captured_at", "bad_date", value=text) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _priority(text: str, default: Priority) -> Priority:
    if not text:
        return default
    try:
        return Priority.parse(text.lower())
    except ValueError as error:
        raise LabelError("priority", "bad_priority", value=text) from error
