"""PostgreSQL ends while its write-ahead log has no room, and then the work goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from embedded import EmbeddedStack

if TYPE_CHECKING:
    from tests.support.laboratory import Laboratory

pytestmark = pytest.mark.stack

SEGMENT_BYTES = 16 * 2**20
DISK_BYTES = 5 * SEGMENT_BYTES


def stack(home: Path) -> EmbeddedStack:
    return EmbeddedStack(home, workers=0, scheduler=False)


@pytest.fixture
def home(home: Path) -> Iterator[Path]:
    """Home of a stack whose write-ahead log is on a small disk."""
    disk = home.with_name("disk")
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "karyo-test", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system may be mounted here")
    try:
        log = home / "postgres" / "pg_wal"
        subprocess.run(["cp", "--archive", log, disk], check=True)
        shutil.rmtree(log)
        log.symlink_to(disk / "pg_wal")
        yield home
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def postgres_url(home: Path) -> Iterator[str]:
    with stack(home) as running:
        yield str(running.settings.database_url)


def fill(home: Path) -> Path:
    """Fill the disk, so that no segment of the log fits."""
    ballast = home.with_name("disk") / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return ballast


def write_log(laboratory: Laboratory) -> None:
    """Write a few bytes to more segments of the log than the disk has room for."""
    for _ in range(DISK_BYTES // SEGMENT_BYTES + 1):
        with laboratory.sessions.begin() as session:
            session.execute(text("SELECT pg_logical_emit_message(true, 'test', 'something to keep')"))
            session.execute(text("SELECT pg_switch_wal()"))


def test_work_goes_on_when_there_is_room_again(home: Path, laboratory: Laboratory) -> None:
    # A dropped message would return long after this test.
    laboratory.settings = laboratory.settings.model_copy(update={"queued_timeout_seconds": 600, "max_attempts": 1})
    laboratory.add(laboratory.pipeline(seconds=0.3), 20)
    laboratory.worker(KARYO_MAX_ATTEMPTS="1")
    laboratory.scheduler()
    laboratory.wait(lambda: "done" in laboratory.states().values())
    ballast = fill(home)
    with pytest.raises(DBAPIError):
        write_log(laboratory)
    log = home / "logs" / "supervisor.log"
    laboratory.wait(lambda: log.read_text().count("postgres ended with status 1") >= 3)
    ballast.unlink()

    def over() -> bool:
        with suppress(OperationalError):
            return laboratory.summarised()
        return False

    laboratory.wait(over)
    assert set(laboratory.states().values()) == {"done"}
    laboratory.assert_each_once()
