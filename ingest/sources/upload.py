"""Images that a client sends."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, ClassVar

from db.enums import BatchKind
from ingest.rejections import Rejected, rejected
from ingest.sources.base import Item, Source
from ingest.sources.content import PassedOver, is_image_name, judge_content, judge_name
from ingest.sources.labels import Labels
from karyotyping.image.formats import HEAD_BYTES

MAX_NAME_LENGTH = 200  # characters


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """One file of an upload: the name that the client gave, and its seekable content."""

    name: str | None
    content: BinaryIO


class UploadSource(Source):
    """Files of one upload, all of one case, in the order in which they were sent."""

    kind: ClassVar[BatchKind] = "upload"

    def __init__(self, files: Sequence[UploadedFile], labels: Labels) -> None:
        """Name the files, which are read later.

        Args:
            files: Files of the upload; their content stays open until the batch has ended.
            labels: Labels of every image, with a case.
        """
        self.source = f"{len(files)} uploaded files" if len(files) != 1 else "1 uploaded file"
        self._files = files
        self._labels = labels

    def items(self) -> list[Item | Rejected | PassedOver]:
        """See :class:`~ingest.sources.base.Source`."""
        return [self._answer(safe_name(file.name), file.content) for file in self._files]

    def _answer(self, name: str, content: BinaryIO) -> Item | Rejected | PassedOver:
        if (decided := judge_name(name)) is not None:
            return decided
        if not is_image_name(name):
            head = _read(content, name, HEAD_BYTES)
            judged = head if isinstance(head, Rejected) else judge_content(name, head)
            if judged is not None:
                return judged
        return Item(name, self._labels, lambda max_bytes: _read(content, name, max_bytes + 1, max_bytes))


def safe_name(name: str | None) -> str:
    r"""Return the last part of a client's path: printable, not hidden, of bounded length.

    >>> safe_name("..\\..\\cell\n1.tif"), safe_name("../.png"), safe_name(None)
    ('cell_1.tif', '_.png', 'image')
    """
    last = (name or "image").replace("\\", "/").rpartition("/")[2]
    printable = "".join(character if character.isprintable() else "_" for character in last)[-MAX_NAME_LENGTH:]
    return f"_{printable}" if printable.startswith(".") or not printable else printable


def _read(content: BinaryIO, name: str, count: int, max_bytes: int | None = None) -> bytes | Rejected:
    """Return the first ``count`` bytes of a file of at most ``max_bytes``, or its rejection."""
    try:
        size = content.seek(0, os.SEEK_END)
        if max_bytes is not None and size > max_bytes:
            return rejected(name, "too_many_bytes", size=size, limit=max_bytes)
        content.seek(0)
        return content.read(count)
    except OSError as error:  # large uploads are kept on disk
        return rejected(name, "unreadable_file", error=error.strerror)
