"""Files that commands read and write: what was found, and where results can go."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from cli.console import fail
from ingest.printable import printable


def fail_without_images(location: str | Path, passed_over: Mapping[str, int], rejected: int = 0) -> NoReturn:
    """Exit with 1 and a sentence that counts what was found instead of images.

    Args:
        location: where images were expected.
        passed_over: files that are clearly no images, by kind.
        rejected: files that were rejected.
    """
    from ingest.sources.content import describe_passed_over  # noqa: PLC0415 - imports the decoders

    found = [describe_passed_over(passed_over), f"{rejected} rejected" if rejected else ""]
    fail(f"no image files in {printable(str(location))}: {', '.join(filter(None, found)) or 'there are no files'}")


def check_output_files(*paths: Path | None) -> None:
    """Exit with 2 and a sentence if one of ``paths`` cannot be written; None is passed over."""
    for path in filter(None, paths):
        folder = path.absolute().parent
        if not folder.is_dir():
            fail(f"there is no folder {printable(str(folder))} to write {printable(path.name)} to", 2)
        if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
            fail(f"{printable(str(path))} cannot be written; choose another place", 2)
