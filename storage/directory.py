"""An object store in a directory of one machine or of a shared file system."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.objects import ObjectMissing, StoreUnavailable, checked_bytes, checked_key, key_of

ABANDONED_SECONDS = 6 * 3600.0
"""What is half written is nobody's after this time; long enough for hosts whose clocks differ."""


class DirectoryStore:
    """Objects as read-only files ``sha256/ab/cdef...`` under ``root``, which is made when first needed.

    An object appears whole or not at all: it is written to ``parts``, flushed to the disk, and renamed. What a process
    that was killed has left there, the first ``put`` of another one removes after some hours.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._parts = root / "parts"
        self._swept = False

    def put(self, data: bytes, key: str | None = None) -> str:
        key = checked_key(key) if key else key_of(data)
        path = self.root / key
        with self._explained("write", path):
            if path.exists() and path.stat().st_size == len(data):
                return key
            for folder in (path.parent, self._parts):
                folder.mkdir(parents=True, exist_ok=True)
            if not self._swept:
                _sweep(self._parts)
                self._swept = True
            _write_atomically(path, data, self._parts)
        return key

    def get(self, key: str) -> bytes:
        path = self.root / checked_key(key)
        with self._explained("read", path):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                raise ObjectMissing(key) from None
        return checked_bytes(key, data)

    def has(self, key: str) -> bool:
        path = self.root / checked_key(key)
        with self._explained("read", path):
            return path.exists()

    def delete(self, key: str) -> None:
        path = self.root / checked_key(key)
        with self._explained("delete", path):
            path.unlink(missing_ok=True)

    def keys(self) -> Iterator[str]:
        with self._explained("list", self.root):
            for shelf in sorted(self.root.glob("sha256/??")):
                for path in sorted(shelf.iterdir()):
                    if not path.name.startswith("."):  # network file systems keep files of their own
                        yield f"sha256/{shelf.name}/{path.name}"

    def check(self) -> None:
        with self._explained("use", self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root) as probe:
                probe.write(b"karyoflow")

    @contextmanager
    def _explained(self, verb: str, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(
                f"Cannot {verb} {path}: {error.strerror or error}. "
                f"Check the free space and the permissions of the object store {self.root}."
            ) from error


def _sweep(parts: Path) -> None:
    """Remove what was abandoned."""
    for part in parts.iterdir():
        with suppress(FileNotFoundError):  # another process sweeps, or the part has become an object
            if time.time() - part.stat().st_mtime > ABANDONED_SECONDS:
                part.unlink()


def _write_atomically(path: Path, data: bytes, parts: Path) -> None:
    """Leave ``data`` under ``path`` even if the machine stops in the next instant, or leave nothing."""
    with tempfile.NamedTemporaryFile(dir=parts, delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
