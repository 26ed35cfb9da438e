"""Images in a folder. Discovery neither leaves the folder nor blocks on anything in it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from db.enums import BatchKind
from ingest.printable import is_printable, printable
from ingest.rejections import IngestError, Rejected, rejected
from ingest.sources.base import NamedFiles, is_image_name, natural
from ingest.sources.labels import NO_LABELS, Labels


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A regular file named like an image: ``name`` in its folder, ``path`` free of links."""

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

    def names(self) -> list[str | Rejected]:
        """See :class:`~ingest.sources.base.NamedFiles`."""
        return [file if isinstance(file, Rejected) else file.name for file in discover(self._folder)]

    def holds(self, name: str) -> Rejected | bool:
        """Return whether there is a file ``name``, whatever its suffix, or why it is not taken."""
        path = self._folder / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            return rejected(name, "outside_collection")
        try:
            if not path.exists() and not path.is_symlink():
                return False
        except OSError:  # no file can have this name
            return False
        target = examine(path, name, self._folder)
        return target if isinstance(target, Rejected) else target is not None

    def read(self, name: str, max_bytes: int) -> bytes | Rejected:
        """See :class:`~ingest.sources.base.NamedFiles`."""
        # Examined again: since the discovery, the file may have been replaced by a link.
        target = examine(self._folder / name, name, self._folder)
        if isinstance(target, Rejected):
            return target
        return rejected(name, "not_a_file", kind="folder") if target is None else read_file(target, name, max_bytes)


def discover(folder: Path) -> list[ImageFile | Rejected]:
    """Return every file under ``folder`` that is named like an image, or why it is not taken.

    The order is natural. Hidden files and files with other suffixes are passed over.

    Raises:
        IngestError: ``folder_not_found``.
    """
    root = _existing_folder(folder)
    files: list[ImageFile | Rejected] = []
    for path in _walk(root):
        if isinstance(path, OSError):
            folder_name = Path(path.filename).relative_to(root).as_posix()
            files.append(rejected(folder_name, "unreadable_file", error=path.strerror))
            continue
        name = path.relative_to(root).as_posix()
        target = examine(path, name, root)
        if target is not None:
            files.append(target if isinstance(target, Rejected) else ImageFile(name, target))
    return sorted(files, key=lambda file: natural(file.name))


def image_files(path: Path) -> list[ImageFile]:
    """Return the file ``path``, or the images of the folder ``path`` that can be opened.

    Raises:
        IngestError: ``folder_not_found``.
    """
    if path.is_file():
        return [ImageFile(path.name, path.resolve())]
    return [file for file in discover(path) if isinstance(file, ImageFile)]


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
    try:
        # Not blocking, and not following links: the file may have been replaced by a pipe or a link.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return rejected(name, "unreadable_file", error="no longer a regular file")
            if status.st_size > max_bytes:
                return rejected(name, "too_many_bytes", size=status.st_size, limit=max_bytes)
            return file.read(max_bytes + 1)  # it may be growing; the decoder rejects the byte too many
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


def _walk(folder: Path) -> Iterator[Path | OSError]:
    """Yield paths named like an image, links to folders, and errors of unreadable folders.

    No link is followed.
    """
    try:
        with os.scandir(folder) as listing:
            entries = list(listing)
    except OSError as error:
        yield error
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = Path(entry.path)
        named_like_image = is_image_name(entry.name)
        if entry.is_dir(follow_symlinks=False) and not named_like_image:
            yield from _walk(path)
        elif named_like_image or (entry.is_symlink() and path.is_dir()):
            yield path
