"""PostgreSQL's disk is full while results come in: they wait for room, and no image is blamed."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import make_url

if TYPE_CHECKING:
    from conftest import Laboratory

pytestmark = pytest.mark.stack

DISK_BYTES = 48 * 2**20


@pytest.fixture
def small_disk(postgres_server: str, server_dir: Path) -> Iterator[Path]:
    """Where the tablespace ``small`` lies: on a disk of its own."""
    folder = server_dir / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "karyo-test", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    if not mounted:
        folder.rmdir()
        pytest.skip("no file system may be mounted here")
    place = folder / "tablespace"
    place.mkdir()
    user = pwd.getpwnam("nobody")
    os.chown(place, user.pw_uid, user.pw_gid)
    try:
        with psycopg.connect(f"{postgres_server} dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
            yield folder
            connection.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return ballast


def test_results_wait_for_room(small_disk: Path, laboratory: Laboratory, postgres_server: str) -> None:
    name = make_url(str(laboratory.settings.database_url)).database
    with psycopg.connect(f"{postgres_server} dbname=postgres", autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET TABLESPACE small")
    laboratory.settings = laboratory.settings.model_copy(update={"max_attempts": 1})
    laboratory.add(laboratory.pipeline(seconds=0.5), 4)
    laboratory.worker(KARYO_MAX_ATTEMPTS="1")
    laboratory.scheduler()
    laboratory.wait(lambda: "running" in laboratory.states().values())
    ballast = fill(small_disk)
    laboratory.wait(lambda: "No space left on device" in laboratory.log())
    time.sleep(8)  # whoever blamed an image for it would have quarantined it by now
    assert set(laboratory.states().values()) & {"pending", "queued", "running"}
    ballast.unlink()
    laboratory.wait(laboratory.summarised)
    assert set(laboratory.states().values()) == {"done"}
    laboratory.assert_each_once()
