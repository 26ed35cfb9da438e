"""PostgreSQL's disk is full while results arrive: they wait for room, and no image fails."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from embedded.postgres import PostgresServer

if TYPE_CHECKING:
    from tests.support.laboratory import Laboratory

pytestmark = pytest.mark.stack

DISK_BYTES = 48 * 2**20


@pytest.fixture
def small_disk(postgres_server: PostgresServer) -> Iterator[Path]:
    """Folder of the tablespace ``small``, on a disk of its own."""
    folder = postgres_server.home / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "karyo-test", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    if not mounted:
        folder.rmdir()
        pytest.skip("no file system may be mounted here")
    location = folder / "tablespace"
    location.mkdir()
    assert postgres_server.user is not None, "root mounts, so that the server has a user of its own"
    os.chown(location, postgres_server.user.pw_uid, postgres_server.user.pw_gid)
    try:
        with postgres_server.connect("postgres") as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{location}'")
            yield folder
            connection.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def fill(disk: Path) -> Path:
    """Fill the disk."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return ballast


def test_results_wait_until_the_disk_has_room(
    small_disk: Path, laboratory: Laboratory, postgres_server: PostgresServer
) -> None:
    name = make_url(str(laboratory.settings.database_url)).database
    with postgres_server.connect("postgres") as connection:
        connection.execute(f"ALTER DATABASE {name} SET TABLESPACE small")
    laboratory.settings = laboratory.settings.model_copy(update={"max_attempts": 1})
    laboratory.add(laboratory.pipeline(seconds=0.5), 20)  # more than the free space of pages holds
    laboratory.worker(KARYO_MAX_ATTEMPTS="1")
    laboratory.scheduler()
    laboratory.wait(lambda: "running" in laboratory.states().values())
    ballast = fill(small_disk)
    laboratory.wait(lambda: "No space left on device" in laboratory.log())
    time.sleep(2.5 * laboratory.settings.lease_seconds)  # long enough for a quarantine
    assert set(laboratory.states().values()) & {"pending", "queued", "running"}
    ballast.unlink()
    laboratory.wait(laboratory.summarised)
    assert set(laboratory.states().values()) == {"done"}
    laboratory.assert_each_once()
