"""The folder of a report: it holds one run, and a marker lists the files of that run."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from reports.errors import ReportError

MARKER = "report.json"
_PART = f"{MARKER}.part"
_WRITTEN_BY = "karyo run"


class ReportFolderError(ReportError):
    """A folder that no report can be written to; the message says what to do."""


@contextmanager
def claim_folder(folder: Path) -> Iterator[None]:
    """Create the folder of a report if it is missing, and keep other runs out until the end.

    A folder that was created and stays empty is removed.

    Raises:
        ReportFolderError: the folder cannot be used, holds files of somebody else, or is used by another run.
    """
    check_folder(folder)
    created = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ReportFolderError(f"Cannot use {folder} ({error.strerror}); choose another --out.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ReportFolderError(f"Another run writes its report to {folder}; choose another --out.") from error
    except OSError:
        pass  # some network file systems have no locks
    try:
        yield
    finally:
        if created:
            with suppress(OSError):  # it holds a report
                folder.rmdir()
        os.close(descriptor)


def check_folder(folder: Path) -> None:
    """Return if the folder is missing, empty, or has the report of an earlier run.

    Raises:
        ReportFolderError: it is anything else.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ReportFolderError(f"{folder} is not a folder; choose another --out.")
    try:
        names = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise ReportFolderError(f"Cannot use {folder} ({error.strerror}); choose another --out.") from error
    if names - {_PART} and _read_marker(folder) is None:
        raise ReportFolderError(
            f"{folder} holds files that are no report of `karyo run`; choose another --out, or empty it."
        )


@contextmanager
def open_report(folder: Path, files: Collection[str], *, pipeline: Mapping[str, str]) -> Iterator[None]:
    """Remove the files of the earlier report, and mark the folder as that of a new one.

    The marker is written first and lists the files of both reports until the earlier ones are gone. A run that is
    interrupted leaves files of one report, and a marker that says that it is not complete.

    Args:
        folder: the folder; it is created.
        files: paths of the new report's files, relative to the folder, with slashes.
        pipeline: ``name`` and ``digest`` of the pipeline.

    Raises:
        ReportFolderError: the folder holds files that are no report.
    """
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    earlier = (_read_marker(folder) or {"files": []})["files"]
    marker = {
        "written_by": _WRITTEN_BY,
        "pipeline": dict(pipeline),
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "complete": False,
    }
    _write_marker(folder, marker | {"files": sorted({*earlier, *files})})
    for name in earlier:
        _remove(folder, name)
    _write_marker(folder, marker | {"files": sorted(files)})
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    yield
    _write_marker(folder, marker | {"complete": True, "files": sorted(files)})


def _read_marker(folder: Path) -> dict[str, Any] | None:
    """Return the marker of a report; None if there is none."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(marker, dict) or marker.get("written_by") != _WRITTEN_BY:
        return None
    files = marker.get("files")
    return marker if isinstance(files, list) and all(isinstance(name, str) for name in files) else None


def _write_marker(folder: Path, marker: Mapping[str, Any]) -> None:
    (folder / _PART).write_text(json.dumps(marker, indent=1), encoding="utf-8")
    (folder / _PART).replace(folder / MARKER)


def _remove(folder: Path, name: str) -> None:
    """Remove a file of a report, unless its name leads out of the folder."""
    path = folder / name
    if ".." in PurePosixPath(name).parts or not path.parent.resolve().is_relative_to(folder.resolve()):
        return
    with suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError):
        path.unlink()
