"""Images in a zip archive.

Nothing of an archive is unpacked to disk, so a name in it can lead nowhere. The size of an image is bounded before it
is read.
"""

from __future__ import annotations

import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import ClassVar

from db.enums import BatchKind
from ingest.printable import printable
from ingest.rejections import IngestError, Rejected, rejected
from ingest.sources.base import NamedFiles, is_hidden, natural, path_problem
from ingest.sources.content import (
    HIDDEN,
    IN_REPORT,
    PICTURE_FOLDERS,
    REPORT_PAGES,
    PassedOver,
    is_image_name,
    judge_name,
)
from ingest.sources.labels import NO_LABELS, Labels
from ingest.sources.spellings import Spellings
from karyotyping.image.formats import HEAD_BYTES

_UTF8_NAME, _ENCRYPTED = 0x800, 0x1
"""Flag bits of a zip's entries (PKWARE, APPNOTE.TXT 6.3.10, section 4.4.4)."""


class ArchiveSource(NamedFiles):
    """Images in an open zip archive, in natural order, then files rejected by their name.

    If one folder holds all of them, it is the root, so cases are those of the same folder without the archive.
    """

    kind: ClassVar[BatchKind] = "archive"

    def __init__(self, path: Path, archive: zipfile.ZipFile, defaults: Labels = NO_LABELS) -> None:
        """Read the table of contents; see :class:`~ingest.sources.base.NamedFiles`."""
        super().__init__(printable(str(path.resolve())), path.stem, defaults)
        self._archive = archive
        self._lock = threading.Lock()
        self._answers: list[Rejected | PassedOver] = []
        self._entries: Mapping[str, zipfile.ZipInfo] = self._usable_entries()
        if top := _only_folder(self._entries):
            self._root, self._top = top, f"{top}/"
        self._spellings: Spellings | None = None

    def names(self) -> list[str | Rejected | PassedOver]:
        """See :class:`~ingest.sources.base.NamedFiles`."""
        in_reports = _report_folders(self._entries)
        answers: list[str | Rejected | PassedOver] = [
            PassedOver(name, IN_REPORT) if name.startswith(in_reports) else self.answer(name)
            for name in sorted(self._entries, key=natural)
        ]
        return answers + self._answers

    def find(self, name: str) -> Sequence[str] | Rejected:
        """Return the files that ``name`` can mean, of any suffix, or why the file is not taken."""
        if name not in self._entries:
            for answer in self._answers:
                if isinstance(answer, Rejected) and answer.name == name:
                    return answer
        self._spellings = self._spellings or Spellings(self._entries)
        return self._spellings.find(name)

    def read(self, name: str, max_bytes: int) -> bytes | Rejected:
        """See :class:`~ingest.sources.base.NamedFiles`."""
        size = self._entries[name].file_size
        if size > max_bytes and not self._entries[name].flag_bits & _ENCRYPTED:
            return rejected(name, "too_many_bytes", size=size, limit=max_bytes)
        return self._read(name, max_bytes + 1)  # never more than the size it claims, whatever it unpacks to

    def head(self, name: str) -> bytes | Rejected:
        """See :class:`~ingest.sources.base.NamedFiles`."""
        return self._read(name, HEAD_BYTES)

    def _read(self, name: str, count: int) -> bytes | Rejected:
        entry = self._entries[name]
        if entry.flag_bits & _ENCRYPTED:
            return rejected(name, "locked")
        try:
            with self._lock, self._archive.open(entry) as stream:
                return stream.read(count)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            return rejected(name, "damaged_archive", error=error)

    def _usable_entries(self) -> dict[str, zipfile.ZipInfo]:
        """Return the files by name; those whose name or place decides are answered at once."""
        entries: dict[str, zipfile.ZipInfo] = {}
        for entry in self._archive.infolist():
            name = _name(entry)
            if is_hidden(name):
                if not entry.is_dir():
                    self._answers.append(PassedOver(name, HIDDEN))
                continue
            if entry.is_dir():
                if is_image_name(name.rstrip("/")):
                    self._answers.append(rejected(name.rstrip("/"), "not_a_file", kind="folder"))
                continue
            problem = path_problem(name)
            if problem is not None:
                decided = judge_name(name)
                self._answers.append(decided if isinstance(decided, PassedOver) else problem)
                continue
            name = name.replace("\\", "/")  # some programs of Windows write backslashes
            if name in entries:
                self._answers.append(rejected(name, "named_twice"))
            else:
                entries[name] = entry
        return entries


def _only_folder(names: Iterable[str]) -> str:
    """Return the folder that holds every file which may be an image; empty if there is none.

    >>> _only_folder(["monday/A/1.tif", "monday/2.tif", "read me.txt"]), _only_folder(["A/1.tif", "B/1.tif"])
    ('monday', '')
    """
    tops = {name.rpartition("/")[0].partition("/")[0] for name in names if judge_name(name) is None}
    return tops.pop() if len(tops) == 1 else ""


def _report_folders(names: Iterable[str]) -> tuple[str, ...]:
    """Return the starts of names in reports of karyoflow; at the top, only of its pictures."""
    paths = [PurePosixPath(name) for name in names]
    folders = {path.parent for path in paths}
    reports = {path.parent for path in paths if path.name in REPORT_PAGES}
    pictures = {report / part for report in reports for part in PICTURE_FOLDERS} & folders
    top = PurePosixPath()
    return tuple(f"{picture if picture.parent == top else picture.parent}/" for picture in pictures)


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
