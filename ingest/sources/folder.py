"""Finding images in a folder, without leaving it and without waiting on anything in it."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from db.schema import PRIORITIES
from ingest.rejections import IngestError, Rejected, is_printable, rejected
from karyotyping.image.decode import ImageRejected

_DECODED = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".dib")
_WORTH_A_WORD = (".gif", ".webp", ".heic", ".heif", ".avif", ".jp2", ".psd", ".dcm", ".czi", ".nd2", ".lif", ".svs")
IMAGE_SUFFIXES = frozenset(_DECODED + _WORTH_A_WORD)
"""Suffixes of what can be decoded, and of images whose owner should hear that they cannot."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What is known of an image from outside it. ``captured_at`` has a time zone."""

    case: str
    lab: str | None = None
    """The laboratory that sent it. Laboratories take turns at the workers."""
    slide: str | None = None
    tissue: str | None = None
    banding: str | None = None
    microscope: str | None = None
    captured_at: datetime | None = None
    priority: int = PRIORITIES["routine"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be an image: ``name`` relative to its batch, ``path`` free of links."""

    name: str
    path: Path
    labels: Labels


def discover(
    folder: Path, case: str | None = None, priority: int = PRIORITIES["routine"], lab: str | None = None
) -> list[Candidate | Rejected]:
    """Every file under ``folder`` that is named like an image, in natural order, or why it is not taken.

    Hidden files and files with other suffixes are passed over. An image belongs to ``case``, else to the case named by
    the sub-folder that it lies in (``A`` or ``A/slide 1``: two patients' slides of the same name must not become one
    case), else to the case named by ``folder`` itself.

    Raises:
        IngestError: ``folder_not_found``.
    """
    try:
        root = folder.resolve(strict=True)
    except (OSError, RuntimeError):
        raise IngestError("folder_not_found", path=folder) from None
    if not root.is_dir():
        raise IngestError("folder_not_found", path=folder)
    found: list[Candidate | Rejected] = []
    for path in _walk(root):
        if isinstance(path, OSError):
            folder_name = Path(path.filename).relative_to(root).as_posix()
            found.append(rejected(folder_name, "unreadable_file", error=path.strerror))
            continue
        name = path.relative_to(root).as_posix()
        verdict = examine(path, name, root)
        if isinstance(verdict, Path):
            inside = Path(name).parent.as_posix()
            accession = case or (inside if inside != "." else root.name or "unnamed")
            found.append(Candidate(name, verdict, Labels(accession, lab, priority=priority)))
        elif verdict is not None:
            found.append(verdict)
    return sorted(found, key=lambda each: natural(each.name))


def image_files(path: Path) -> list[Candidate]:
    """``path`` itself if it is a file, else the images of the folder ``path`` that can be opened.

    Raises:
        IngestError: ``folder_not_found``.
    """
    if path.is_file():
        return [Candidate(path.name, path.resolve(), Labels(path.resolve().parent.name))]
    return [each for each in discover(path) if isinstance(each, Candidate)]


def examine(path: Path, name: str, root: Path) -> Path | Rejected | None:
    """The file behind ``path``, or why it is not taken, or None for a link to a folder inside ``root``."""
    if not is_printable(name):
        return rejected(name, "unsafe_name")
    try:
        target = path.resolve(strict=True)
        mode = target.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError, RuntimeError):  # RuntimeError: links in a circle, until Python 3.12
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
        return None  # what it leads to is visited anyway
    return rejected(name, "not_a_file", kind="folder" if stat.S_ISDIR(mode) else "device, pipe or socket")


def read(path: Path, max_bytes: int) -> bytes:
    """The content of the regular file ``path``.

    Raises:
        ImageRejected: ``too_many_bytes``, found out before reading.
        OSError: it cannot be read, or is no longer a regular file.
    """
    # Not blocking, and not following links: the file may have been exchanged for a pipe or a link since it was found.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "no longer a regular file")
        if status.st_size > max_bytes:
            raise ImageRejected("too_many_bytes", size=status.st_size, limit=max_bytes)
        return file.read(max_bytes + 1)  # it may be growing; the decoder rejects the byte too many


def natural(name: str) -> list[tuple[int, str]]:
    """Sorting key that puts ``cell 9`` before ``cell 10``.

    >>> sorted(["cell 10", "cell 9"], key=natural)
    ['cell 9', 'cell 10']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name.casefold()) if part]


def _walk(folder: Path) -> Iterator[Path | OSError]:
    """What is named like an image under ``folder``, links to folders, and what kept folders from being read.

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
        looks_like_image = path.suffix.lower() in IMAGE_SUFFIXES
        if entry.is_dir(follow_symlinks=False) and not looks_like_image:
            yield from _walk(path)
        elif looks_like_image or (entry.is_symlink() and path.is_dir()):
            yield path
