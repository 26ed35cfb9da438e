"""The interface of every source of images."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from db.enums import BatchKind
from ingest.printable import is_printable
from ingest.rejections import Rejected, rejected
from ingest.sources.content import PassedOver, is_image_name, judge_content, judge_name
from ingest.sources.labels import LabelError, Labels


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
    notes: Sequence[str] = ()
    """Sentences for people about how the source was read; complete after :meth:`items`."""

    @abstractmethod
    def items(self) -> Iterable[Item | Rejected | PassedOver]:
        """Return the answer to every file: to decode it, why it is rejected, or passed over.

        The result is sized, unless the listing takes long.

        Raises:
            IngestError: The source itself cannot be read. It is raised by this call, before the first item.
        """


class NamedFiles(Source):
    """A source of files that have a path within it: a folder, an archive, a prefix of a bucket."""

    _top: str = ""
    """Start of every path that is no part of a case, with its slash."""

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
    def names(self) -> Iterable[str | Rejected | PassedOver]:
        """Return the answer to every file: its path if it is to be decoded; see :meth:`answer`."""

    @abstractmethod
    def read(self, name: str, max_bytes: int) -> bytes | Rejected:
        """Return the bytes of the file ``name``, or why they cannot be read; see :attr:`Item.read`."""

    @abstractmethod
    def head(self, name: str) -> bytes | Rejected:
        """Return the first ``HEAD_BYTES`` of the file ``name``, or why they cannot be read."""

    def items(self) -> Iterable[Item | Rejected | PassedOver]:
        """See :class:`Source`."""
        names = self.names()
        items = map(self._item, names)
        return list(items) if isinstance(names, Sized) else items

    def answer(self, name: str) -> str | Rejected | PassedOver:
        """Return ``name`` if the file is to be decoded, else its rejection or its passing over.

        The name decides if it is that of an image, or of a file that is none. The content decides otherwise.
        """
        if (decided := judge_name(name)) is not None:
            return decided
        if is_image_name(name):
            return name
        head = self.head(name)
        return head if isinstance(head, Rejected) else judge_content(name, head) or name

    def _item(self, name: str | Rejected | PassedOver) -> Item | Rejected | PassedOver:
        if not isinstance(name, str):
            return name
        try:
            labels = self._defaults.in_folder(name.removeprefix(self._top), self._root)
        except LabelError as error:
            return rejected(name, error.reason, where=error.where, **error.facts)
        return Item(name, labels, partial(self.read, name))


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


def natural(name: str) -> list[tuple[int, str]]:
    """Return a sorting key that puts ``cell 9`` before ``cell 10``.

    >>> sorted(["cell 10", "cell 9"], key=natural)
    ['cell 9', 'cell 10']
    """
    parts = re.split(r"(\d+)", name.casefold())
    return [_number_key(part) if part.isdecimal() else (-1, part) for part in parts if part]


def _number_key(digits: str) -> tuple[int, str]:
    """Return a sorting key of a number of any length; ``int`` reads at most 4,300 digits."""
    digits = digits.lstrip("0")
    return len(digits), digits


def _parts(name: str) -> list[str]:
    return name.replace("\\", "/").split("/")
