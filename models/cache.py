"""Engines that take minutes to build: built once, by whoever asks first, and checked before they are used."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from models.providers import EngineUnavailable

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
PATIENCE_SECONDS = 1800.0
"""How long another process may take to build."""
_GROWING = "*.timing"
"""TensorRT's timings of kernels, which later builds may add to."""


def ensure_built(folder: Path, key: Mapping[str, str], build: Callable[[Path], None]) -> Path:
    """``folder``, with what ``build`` put there.

    It is built anew if it is missing, half-built, damaged or of another key. Of all processes that ask at the same
    time, on hosts that share the folder too, one builds and the others wait; the lock of one that dies is free at once.
    A folder that is whole is only read, so it may be read-only.

    Args:
        folder: where it lies; nothing else may.
        key: everything that the result depends on.
        build: fills the empty folder that it is given.

    Raises:
        EngineUnavailable: it has to be built and the folder cannot be written, or somebody else takes too long.
    """
    if is_complete(folder, key):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock", timeout=PATIENCE_SECONDS):
            if not is_complete(folder, key):
                _build(folder, key, build)
    except Timeout as problem:
        raise EngineUnavailable(
            f"another process has been building {folder} for {PATIENCE_SECONDS / 60:.0f} minutes; is it alive?"
        ) from problem
    except OSError as problem:
        raise EngineUnavailable(
            f"no engine is ready in {folder}, and it cannot be built there ({problem.strerror}): run `karyo models "
            "build` with the same XDG_CACHE_HOME on a host with the same GPU that may write"
        ) from problem
    return folder


def is_complete(folder: Path, key: Mapping[str, str]) -> bool:
    """Whether ``folder`` holds all that was built for ``key``, unchanged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        return bool(manifest["key"] == dict(key) and manifest["files"] == _digests(folder))
    except (OSError, ValueError, KeyError):
        return False


def _build(folder: Path, key: Mapping[str, str], build: Callable[[Path], None]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    log.info("building an engine", extra={"folder": str(folder), **key})
    began = time.monotonic()
    build(folder)
    seconds = round(time.monotonic() - began, 1)
    # Written last, and at once: a folder with a manifest is a whole one.
    manifest = {"key": dict(key), "files": _digests(folder), "seconds": seconds, "host": socket.gethostname()}
    draft = folder / f"{MANIFEST}.new"
    draft.write_text(json.dumps(manifest, indent=1), "utf-8")
    draft.replace(folder / MANIFEST)
    log.info("engine built", extra={"folder": str(folder), "seconds": seconds})


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that a reader relies on, by name."""
    files = [file for file in sorted(folder.iterdir()) if not file.match(_GROWING) and not file.match(f"{MANIFEST}*")]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
