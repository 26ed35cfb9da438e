"""Images in a zip archive.

Nothing of an archive is unpacked to disk, so a name in it can lead nowhere. The size of an image is bounded before it
is read.
"""

from __future__ import annotations

import threading
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from db.enums import BatchKind
from ingest.printable import printable
from ingest.rejections import IngestError, Rejected, rejected
from ingest.sources.base import NamedFiles, is_hidden, is_image_name, natural, path_problem
from ingest.sources.labels import NO_LABELS, Labels

_UTF8_NAME, _ENCRYPTED = 0x800, 0x1
"""Flag bits of a zip's entries (PKWARE, APPNOTE.TXT 6.3.10, section 4.4.4)."""


class ArchiveSource(NamedFiles):
    """Images in an open zip archive, in natural order, then the rejected ones."""

    kind: ClassVar[BatchKind] = "archive"

    def __init__(self, path: Path, archive: zipfile.ZipFile, defaults: Labels = NO_LABELS) -> None:
        """Read the table of contents; see :class:`~ingest.sources.base.NamedFiles`."""
        super().__init__(printable(str(path.resolve())), path.stem, defaults)
        self._archive = archive
        self._lock = threading.Lock()
        self._rejected: list[Rejected] = []
        self._entries: Mapping[str, zipfile.ZipInfo] = self._usable_entries()

    def names(self) -> list[str | Rejected]:
        """See :class:`~ingest.sources.base.NamedFiles`."""
        return [*(name for name in sorted(self._entries, key=natural) if is_image_name(name)), *self._rejected]

    def holds(self, name: str) -> Rejected | bool:
        """Return whether there is a file ``name``, whatever its suffix, or why it is not taken."""
        return name in self._entries or next((entry for entry in self._rejected if entry.name == name), False)

    def read(self, name: str, max_bytes: int) -> bytes | Rejected:
        """See :class:`~ingest.sources.base.NamedFiles`."""
        entry = self._entries[name]
        if entry.flag_bits & _ENCRYPTED:
            return rejected(name, "locked")
        if entry.file_size > max_bytes:
            return rejected(name, "too_many_bytes", size=entry.file_size, limit=max_bytes)
        try:
            with self._lock, self._archive.open(entry) as stream:
                return stream.read(max_bytes + 1)  # never more than the size it claims, whatever it unpacks to
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
            return rejected(name, "damaged_archive", error=error)

    def _usable_entries(self) -> dict[str, zipfile.ZipInfo]:
        """Return the files by name; those whose name cannot be used are rejected."""
        entries: dict[str, zipfile.ZipInfo] = {}
        for entry in self._archive.infolist():
            name = _name(entry)
            if entry.is_dir() or is_hidden(name):
                continue
            problem = path_problem(name) or (rejected(name, "named_twice") if name in entries else None)
            if problem:
                self._rejected.append(problem)
            else:
                entries[name] = entry
        return entries


@contextmanager
def open_archive(path: Path, defaults: Labels = NO_LABELS) -> Iterator[ArchiveSource]:
    """Yield the zip archive ``path`` as a source, and close it at the end.

    Raises:
        IngestError: ``not_a_collection``.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise IngestError("not_a_collection", path=printable(str(path))) from error
    with archive:
        yield ArchiveSource(path, archive, defaults)


def _name(entry: zipfile.ZipInfo) -> str:
    """Return the name of ``entry``.

    Many programs write UTF-8 without its flag, and zipfile then decodes code page 437.
    """
    if entry.flag_bits & _UTF8_NAME:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename
