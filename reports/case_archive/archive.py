"""The file of a case archive: a zip of rows, objects, and a manifest of digests."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reports.case_archive.rows import Document, object_keys
from reports.errors import ReportError
from storage import ObjectStore, key_of

VERSION = 1
_FORMAT = "karyoflow case"
_MANIFEST = "manifest.json"
_ROWS = "case.json"
_OBJECTS = "objects/"
_MAX_MANIFEST = 64 * 2**20  # bytes, of the largest manifest that is read
_MAX_ROWS = 2**31  # bytes, of the rows of the largest case that is read
_EPOCH = (1980, 1, 1, 0, 0, 0)  # earliest time of a zip; the same case makes the same bytes


class ArchiveError(ReportError):
    """An archive that cannot be taken in; the message says what to do."""


def write_archive(path: Path, document: Document, store: ObjectStore) -> int:
    """Write the rows and objects of a case to ``path``; return the number of objects.

    Raises:
        StorageError: an object is missing or damaged; nothing is at ``path`` that was not there before.
    """
    part = path.with_name(f".{path.name}.part")
    keys = object_keys(document)
    manifest: dict[str, Any] = {"format": _FORMAT, "version": VERSION, "files": {}}
    try:
        with zipfile.ZipFile(part, "w") as archive:
            for key in keys:  # compressed already
                _add(archive, manifest, _OBJECTS + key, store.get(key), zipfile.ZIP_STORED)
            _add(archive, manifest, _ROWS, json.dumps(document, ensure_ascii=False).encode(), zipfile.ZIP_DEFLATED)
            archive.writestr(zipfile.ZipInfo(_MANIFEST, _EPOCH), json.dumps(manifest, indent=1))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return len(keys)


class CaseArchive:
    """An open archive whose files are as its manifest says.

    Args:
        archive: the open zip.
        max_bytes: largest object that is accepted.
    """

    def __init__(self, archive: zipfile.ZipFile, max_bytes: int) -> None:
        self._archive = archive
        self._max_bytes = max_bytes
        if archive.getinfo(_MANIFEST).file_size > _MAX_MANIFEST:
            raise ArchiveError("the manifest of the archive is too large; export the case again")
        manifest = json.loads(archive.read(_MANIFEST))
        if manifest["format"] != _FORMAT:
            raise ArchiveError("the file is no archive of a case; `karyo case export` writes one")
        if manifest["version"] != VERSION:
            raise ArchiveError(
                f"the archive has version {manifest['version']}, and this version of karyoflow reads {VERSION}; "
                "export the case with this version, or install the other"
            )
        self._files: dict[str, dict[str, Any]] = manifest["files"]
        self.document: Document = json.loads(self._read(_ROWS))
        self.accession: str = self.document["case"]["accession"]
        self.name = Path(archive.filename or "").name
        self.keys = object_keys(self.document)
        """Keys of all objects; each was verified."""
        for key in self.keys:
            self.read_object(key)

    def read_object(self, key: str) -> bytes:
        """Return the bytes of an object, verified against its key."""
        data = self._read(_OBJECTS + key)
        if key_of(data) != key:
            raise ArchiveError(f"the archive is damaged at {key}; export the case again")
        return data

    def _read(self, name: str) -> bytes:
        size, expected = self._archive.getinfo(name).file_size, self._files[name]
        if size != expected["bytes"] or size > (_MAX_ROWS if name == _ROWS else self._max_bytes):
            raise ArchiveError(f"the archive is damaged at {name}, or larger than KARYO_MAX_IMAGE_BYTES allows")
        data = self._archive.read(name)
        if hashlib.sha256(data).hexdigest() != expected["sha256"]:
            raise ArchiveError(f"the archive is damaged at {name}; export the case again")
        return data


@contextmanager
def open_archive(path: Path, max_bytes: int) -> Iterator[CaseArchive]:
    """Yield the archive at ``path``.

    Args:
        path: of the file.
        max_bytes: largest object that is accepted.

    Raises:
        ArchiveError: it is none, of another version, or damaged.
        OSError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield CaseArchive(archive, max_bytes)
    except (zipfile.BadZipFile, zlib.error, KeyError, TypeError, ValueError, AttributeError, EOFError) as problem:
        raise ArchiveError(f"{path.name} is no archive of a case, or damaged; export the case again") from problem


def _add(archive: zipfile.ZipFile, manifest: dict[str, Any], name: str, data: bytes, method: int) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    archive.writestr(info, data, method)
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
