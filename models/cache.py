"""Cache of built engines: one process builds, every reader verifies the digests before use."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypedDict

from filelock import FileLock, Timeout

from models.errors import EngineUnavailable

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
LOCK_TIMEOUT = 1800.0  # s, longest wait for another process's build
_TIMING_FILES = "*.timing"  # kernel timings of TensorRT, which later builds extend


class Manifest(TypedDict):
    """Content of ``manifest.json`` in the folder of a complete engine."""

    key: dict[str, str]
    files: dict[str, str]  # SHA-256 by file name
    seconds: float  # duration of the build
    host: str


def ensure_built(folder: Path, key: Mapping[str, str], build: Callable[[Path], None]) -> Path:
    """Return ``folder`` with the result of ``build``, which runs only if necessary.

    An engine is rebuilt if it is missing, incomplete, damaged or of another key. One of all concurrent processes
    builds and the others wait, also across hosts that share the folder. The lock of a dead process is released at
    once. A complete folder is only read and may be read-only.

    Args:
        folder: the engine's own folder; a build removes all other content.
        key: everything that the result depends on.
        build: fills the empty folder that is its argument.

    Raises:
        EngineUnavailable: the folder is not complete and cannot be written, or the lock is held too long.
    """
    if is_complete(folder, key):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock", timeout=LOCK_TIMEOUT):
            if not is_complete(folder, key):
                _build(folder, key, build)
    except Timeout as problem:
        raise EngineUnavailable(
            f"another process has been building {folder} for {LOCK_TIMEOUT / 60:.0f} minutes; is it alive?"
        ) from problem
    except OSError as problem:
        raise EngineUnavailable(
            f"no engine is ready in {folder}, and it cannot be built there ({problem.strerror}): run `karyo models "
            "build` with the same XDG_CACHE_HOME on a host with the same GPU that may write"
        ) from problem
    return folder


def is_complete(folder: Path, key: Mapping[str, str]) -> bool:
    """Return whether ``folder`` holds every file of the build for ``key``, unchanged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        return bool(manifest["key"] == dict(key) and manifest["files"] == _file_digests(folder))
    except (OSError, ValueError, KeyError):
        return False


def _build(folder: Path, key: Mapping[str, str], build: Callable[[Path], None]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    log.info("building an engine", extra={"folder": str(folder), **key})
    began = time.monotonic()
    build(folder)
    seconds = round(time.monotonic() - began, 1)
    # The manifest is written last and atomically: a folder with a manifest is complete.
    manifest = Manifest(key=dict(key), files=_file_digests(folder), seconds=seconds, host=socket.gethostname())
    draft = folder / f"{MANIFEST}.new"
    draft.write_text(json.dumps(manifest, indent=1), "utf-8")
    draft.replace(folder / MANIFEST)
    log.info("engine built", extra={"folder": str(folder), "seconds": seconds})


def _file_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file that a reader relies on, by name."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
        if not file.match(_TIMING_FILES) and not file.match(f"{MANIFEST}*")
    }
