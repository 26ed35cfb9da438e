"""A home of an embedded stack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path: pytest's own temporary folders are long, and closed to other users."""
    with TemporaryDirectory(prefix="karyo-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "home"
