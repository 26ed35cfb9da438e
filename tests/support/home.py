"""Homes of embedded stacks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from embedded import EmbeddedStack


@contextmanager
def _path() -> Iterator[Path]:
    """A short path: pytest's own temporary folders are long, and closed to other users."""
    with TemporaryDirectory(prefix="karyo-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "home"


@pytest.fixture
def new_home() -> Iterator[Path]:
    """Path of a home that does not exist: the first start makes its database."""
    with _path() as path:
        yield path


@pytest.fixture(scope="session")
def stopped_home() -> Iterator[Path]:
    with _path() as path:
        with EmbeddedStack(path, workers=0, scheduler=False):
            pass
        yield path


@pytest.fixture
def home(stopped_home: Path) -> Iterator[Path]:
    """Home of a stack that has been started once: its start takes a sixth of a first one's time."""
    with _path() as path:
        _copy(stopped_home, path)
        yield path


@pytest.fixture(scope="module")
def module_home(stopped_home: Path) -> Iterator[Path]:
    """Home of a stack that has been started once, for all tests of a module."""
    with _path() as path:
        _copy(stopped_home, path)
        yield path


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "--archive", source, target], check=True)  # PostgreSQL's user keeps its files
