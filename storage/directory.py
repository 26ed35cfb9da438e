"""Object store in a directory of one machine or of a shared file system."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from storage.objects import ObjectMissing, StoredObject, StoreUnavailable, key_of, validate_key, verify_bytes

ABANDONED_SECONDS = 6 * 3600.0  # s, age of a part whose writer is dead; longer than clocks of hosts differ


class DirectoryStore:
    """Objects as read-only files ``sha256/ab/cdef...`` under ``root``, created when first used.

    An object appears whole or not at all: it is written to ``parts``, flushed to the disk, and renamed. The first
    ``put`` of a process removes parts that a killed process has abandoned.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._parts = root / "parts"
        self._has_removed_abandoned = False

    def put(self, data: bytes, key: str | None = None) -> str:
        """Store ``data`` and return its key."""
        key = validate_key(key) if key else key_of(data)
        path = self.root / key
        with self._translate_errors("write", path):
            if path.exists() and path.stat().st_size == len(data):
                return key
            for folder in (path.parent, self._parts):
                folder.mkdir(parents=True, exist_ok=True)
            if not self._has_removed_abandoned:
                _remove_abandoned(self._parts)
                self._has_removed_abandoned = True
            _write_atomically(path, data, self._parts)
        return key

    def get(self, key: str) -> bytes:
        """Return the verified bytes of ``key``."""
        path = self.root / validate_key(key)
        with self._translate_errors("read", path):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                raise ObjectMissing(key) from None
        return verify_bytes(key, data)

    def has(self, key: str) -> bool:
        """Return whether there is an object under ``key``."""
        path = self.root / validate_key(key)
        with self._translate_errors("read", path):
            return path.exists()

    def delete(self, key: str) -> None:
        """Remove the object under ``key``, if there is one."""
        path = self.root / validate_key(key)
        with self._translate_errors("delete", path):
            path.unlink(missing_ok=True)

    def keys(self) -> Iterator[str]:
        """Yield every key, in order."""
        return (entry.key for entry in self.entries())

    def entries(self, after: str = "") -> Iterator[StoredObject]:
        """Yield every object after ``after``, in order."""
        with self._translate_errors("list", self.root):
            for folder in sorted(self.root.glob("sha256/??")):
                if f"sha256/{folder.name}/~" <= after:
                    continue
                for path in sorted(folder.iterdir()):
                    key = f"sha256/{folder.name}/{path.name}"
                    if path.name.startswith(".") or key <= after:  # network file systems keep files of their own
                        continue
                    with suppress(FileNotFoundError):  # another process has deleted it
                        found = path.stat()
                        yield StoredObject(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def check(self) -> None:
        """Return if the store can be used now."""
        with self._translate_errors("use", self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root) as probe:
                probe.write(b"karyoflow")

    @contextmanager
    def _translate_errors(self, verb: str, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(
                f"Cannot {verb} {path}: {error.strerror or error}. "
                f"Check the free space and the permissions of the object store {self.root}."
            ) from error


def _remove_abandoned(parts: Path) -> None:
    """Remove the parts of processes that were killed."""
    for part in parts.iterdir():
        with suppress(FileNotFoundError):  # another process removed it, or it has become an object
            if time.time() - part.stat().st_mtime > ABANDONED_SECONDS:
                part.unlink()


def _write_atomically(path: Path, data: bytes, parts: Path) -> None:
    """Write ``data`` to ``path``, durably, or leave nothing there."""
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
