"""The interface of every source of images."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import ClassVar

from db.enums import BatchKind
from db.spelling import normalise
from ingest.printable import is_printable
from ingest.rejections import Rejected, rejected
from ingest.sources.labels import LabelError, Labels

_DECODED = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".dib")
_NAMED_AS_UNSUPPORTED = (
    *(".gif", ".webp", ".heic", ".heif", ".avif", ".jp2", ".psd"),
    *(".dcm", ".czi", ".nd2", ".lif", ".svs"),
)
IMAGE_SUFFIXES = frozenset(_DECODED + _NAMED_AS_UNSUPPORTED)
"""Suffixes of images that can be decoded, and of those that are rejected by name instead of being passed over."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file that may be an image."""

    name: str
    """Printable name within the source."""
    labels: Labels
    read: Callable[[int], bytes | Rejected]
    """Return the bytes of the file, or why they cannot be read. The argument is the largest size allowed, in bytes;
    one byte more may be returned for a file that grows, never more. Any thread may call it."""


class Source(ABC):
    """A place that images are ingested from."""

    kind: ClassVar[BatchKind]
    source: str
    """Where the images are from, in words for people; column ``ingest_batches.source``."""

    @abstractmethod
    def items(self) -> Iterable[Item | Rejected]:
        """Return every file that may be an image, or why it is not taken.

        The result is sized, unless the listing takes long.

        Raises:
            IngestError: The source itself cannot be read. It is raised by this call, before the first item.
        """


class NamedFiles(Source):
    """A source of files that have a path within it: a folder, an archive, a prefix of a bucket."""

    def __init__(self, source: str, root: str, defaults: Labels) -> None:
        """Open the source.

        Args:
            source: Where the images are from, in words for people.
            root: Case of images that are in no folder of the source.
            defaults: Labels of every image; without a case, the folder of an image is its case.
        """
        self.source = source
        self._root = root
        self._defaults = defaults

    @abstractmethod
    def names(self) -> Iterable[str | Rejected]:
        """Return the paths that are named like an image, or why they are not taken.

        Hidden files are passed over.
        """

    @abstractmethod
    def read(self, name: str, max_bytes: int) -> bytes | Rejected:
        """Return the bytes of the file ``name``, or why they cannot be read; see :attr:`Item.read`."""

    def items(self) -> Iterable[Item | Rejected]:
        """See :class:`Source`."""
        names = self.names()
        items = map(self._item, names)
        return list(items) if isinstance(names, Sized) else items

    def _item(self, name: str | Rejected) -> Item | Rejected:
        if isinstance(name, Rejected):
            return name
        try:
            labels = self._defaults.in_folder(name, self._root)
        except LabelError as error:
            return rejected(name, error.reason, where=error.where, **error.facts)
        return Item(name, labels, partial(self.read, name))


def is_image_name(name: str) -> bool:
    """Return whether the suffix of ``name`` is that of an image.

    >>> is_image_name("A/cell 1.TIF"), is_image_name("notes.txt")
    (True, False)
    """
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def is_hidden(name: str) -> bool:
    """Return whether a file or a folder above it is hidden, or holds attributes of macOS.

    >>> is_hidden("A/.DS_Store"), is_hidden("__MACOSX/a.png"), is_hidden("../a.png")
    (True, True, False)
    """
    return any(part.startswith((".", "__MACOSX")) and part != ".." for part in _parts(name))


def path_problem(name: str) -> Rejected | None:
    """Return why ``name``, which somebody else wrote, cannot be a path within a source.

    >>> path_problem("A/../../etc/passwd").reason
    'outside_collection'
    """
    if not is_printable(name):
        return rejected(name, "unsafe_name")
    parts = _parts(name)
    return rejected(name, "outside_collection") if not parts[0] or ".." in parts else None


def repeated_name(columns: Iterable[str]) -> str | None:
    """Return the name of the first column of a table that an earlier one has too, in any spelling; None if none has.

    >>> repeated_name(["path", "case", "Case "])
    'Case '
    """
    names: set[str] = set()
    for column in columns:
        name = normalise(column).casefold()
        if name and name in names:
            return column
        names.add(name)
    return None


def natural(name: str) -> list[tuple[int, str]]:
    """Return a sorting key that puts ``cell 9`` before ``cell 10``.

    >>> sorted(["cell 10", "cell 9"], key=natural)
    ['cell 9', 'cell 10']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name.casefold()) if part]


def _parts(name: str) -> list[str]:
    return name.replace("\\", "/").split("/")
