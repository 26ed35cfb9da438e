"""Images in a folder. Discovery neither leaves the folder nor blocks on anything in it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from db.enums import BatchKind
from ingest.printable import is_printable, printable
from ingest.rejections import IngestError, Rejected, rejected
from ingest.sources.base import Item, NamedFiles, is_hidden, natural
from ingest.sources.content import HIDDEN, IN_REPORT, PICTURE_FOLDERS, PassedOver, holds_report, is_image_name
from ingest.sources.labels import NO_LABELS, Labels
from ingest.sources.spellings import FolderSpellings
from karyotyping.image.formats import HEAD_BYTES

_NO_CASE = "-"  # of images that are analysed without a case, whatever their folder is called


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A regular file: ``name`` in its folder, ``path`` free of links."""

    name: str
    path: Path


class FolderSource(NamedFiles):
    """Images in a folder and its sub-folders, in natural order."""

    kind: ClassVar[BatchKind] = "folder"

    def __init__(self, folder: Path, defaults: Labels = NO_LABELS) -> None:
        """Find the folder, which is read later; see :class:`~ingest.sources.base.NamedFiles`.

        Raises:
            IngestError: ``folder_not_found``.
        """
        self._folder = _existing_folder(folder)
        super().__init__(printable(str(self._folder)), self._folder.name, defaults)
        self._spellings = FolderSpellings(self._folder)

    def names(self) -> list[str | Rejected | PassedOver]:
        """See :class:`~ingest.sources.base.NamedFiles`."""
        return [self.answer(file.name) if isinstance(file, ImageFile) else file for file in discover(self._folder)]

    def find(self, name: str) -> Sequence[str] | Rejected:
        """Return the files that ``name`` can mean, of any suffix, or why the file is not taken."""
        if ".." in Path(name).parts or Path(name).is_absolute():
            return rejected(name, "outside_collection")
        names = self._spellings.find(name)
        if len(names) != 1:
            return names
        target = examine(self._folder / names[0], names[0], self._folder)
        if target is None:
            return ()
        return target if isinstance(target, Rejected) else names

    def read(self, name: str, max_bytes: int) -> bytes | Rejected:
        """See :class:`~ingest.sources.base.NamedFiles`."""
        target = self._target(name)
        return target if isinstance(target, Rejected) else read_file(target, name, max_bytes)

    def head(self, name: str) -> bytes | Rejected:
        """See :class:`~ingest.sources.base.NamedFiles`."""
        target = self._target(name)
        return target if isinstance(target, Rejected) else _read(target, name, HEAD_BYTES)

    def _target(self, name: str) -> Path | Rejected:
        """Return the file behind ``name``, examined again: it may be another one by now."""
        target = examine(self._folder / name, name, self._folder)
        return rejected(name, "not_a_file", kind="folder") if target is None else target


def discover(folder: Path) -> list[ImageFile | Rejected | PassedOver]:
    """Return every file under ``folder``, its rejection, or its passing over by its place.

    The order is natural. Hidden files and folders, and reports of karyoflow, are passed over.

    Raises:
        IngestError: ``folder_not_found``.
    """
    root = _existing_folder(folder)
    files: list[ImageFile | Rejected | PassedOver] = []
    for path, kind in _walk(root):
        if isinstance(path, OSError):
            folder_name = Path(path.filename).relative_to(root).as_posix()
            files.append(rejected(folder_name, "unreadable_file", error=path.strerror))
            continue
        name = path.relative_to(root).as_posix()
        if kind:
            files.append(PassedOver(name, kind))
            continue
        target = examine(path, name, root)
        if target is not None:
            files.append(target if isinstance(target, Rejected) else ImageFile(name, target))
    return sorted(files, key=lambda file: natural(file.name))


def image_files(path: Path) -> list[ImageFile]:
    """Return the file ``path``, or the files of this folder that are named like images.

    Raises:
        IngestError: ``folder_not_found``.
    """
    if path.is_file():
        return [ImageFile(path.name, path.resolve())]
    return [file for file in discover(path) if isinstance(file, ImageFile) and is_image_name(file.name)]


def open_images(path: Path) -> list[Item | Rejected | PassedOver]:
    """Return the answer to the file ``path``, or to every file of this folder; without labels.

    Raises:
        IngestError: ``folder_not_found``.
    """
    if path.is_file():
        return [Item(printable(path.name), NO_LABELS, partial(read_file, path.resolve(), path.name))]
    return list(FolderSource(path, Labels(case=_NO_CASE)).items())


def examine(path: Path, name: str, root: Path) -> Path | Rejected | None:
    """Return the file behind ``path``, or why it is not taken.

    None is returned for a link to a folder inside ``root``.

    Args:
        path: Path that may be a link.
        name: Name of the file for people and the database.
        root: Folder, free of links, that the file must be in.
    """
    if not is_printable(name):
        return rejected(name, "unsafe_name")
    try:
        target = path.resolve(strict=True)
        mode = target.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError, RuntimeError):  # RuntimeError: circular links, until Python 3.12
        return rejected(name, "broken_symlink")
    except OSError as error:
        if error.errno == errno.ELOOP:
            return rejected(name, "broken_symlink")
        return rejected(name, "unreadable_file", error=error.strerror)
    if not target.is_relative_to(root):
        return rejected(name, "symlink_outside_folder")
    if stat.S_ISREG(mode):
        return target
    if stat.S_ISDIR(mode) and path.is_symlink():
        return None  # its target is visited anyway
    return rejected(name, "not_a_file", kind="folder" if stat.S_ISDIR(mode) else "device, pipe or socket")


def read_file(path: Path, name: str, max_bytes: int) -> bytes | Rejected:
    """Return the bytes of the regular file ``path``, or why they cannot be read.

    Args:
        path: Path free of links.
        name: Name of the file in a rejection.
        max_bytes: Largest size allowed, in bytes, checked before reading.
    """
    return _read(path, name, max_bytes + 1, max_bytes)  # it may be growing; the decoder rejects the byte too many


def _read(path: Path, name: str, count: int, max_bytes: int | None = None) -> bytes | Rejected:
    """Return the first ``count`` bytes of a file of at most ``max_bytes``, or its rejection."""
    try:
        # Not blocking, and not following links: the file may have been replaced by a pipe or a link.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return rejected(name, "unreadable_file", error="no longer a regular file")
            if max_bytes is not None and status.st_size > max_bytes:
                return rejected(name, "too_many_bytes", size=status.st_size, limit=max_bytes)
            return file.read(count)
    except OSError as error:
        return rejected(name, "unreadable_file", error=error.strerror)


def _existing_folder(folder: Path) -> Path:
    """Return ``folder`` free of links."""
    try:
        root = folder.resolve(strict=True)
    except (OSError, RuntimeError):
        raise IngestError("folder_not_found", path=folder) from None
    if not root.is_dir():
        raise IngestError("folder_not_found", path=folder)
    return root


def _walk(folder: Path) -> Iterator[tuple[Path | OSError, str]]:
    """Yield every path that is no folder, and errors of unreadable folders; no link is followed.

    The text after a path is the kind by which it is passed over, or empty. Folders that are named like images are
    yielded as well, and so are hidden folders, whose files are not.
    """
    folders = [(folder, "")]
    while folders:
        place, kind = folders.pop()
        try:
            with os.scandir(place) as listing:
                entries = list(listing)
        except OSError as error:
            yield error, ""
            continue
        names = {entry.name for entry in entries}
        is_report = holds_report(names)
        if is_report and place != folder:
            kind = IN_REPORT
        for entry in entries:
            path = Path(entry.path)
            if is_hidden(entry.name):
                yield path, HIDDEN
            elif _is_folder(entry):
                if is_image_name(entry.name):
                    yield path, kind
                folders.append((path, IN_REPORT if is_report and entry.name in PICTURE_FOLDERS else kind))
            else:
                yield path, kind


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False  # its examination gives the reason
