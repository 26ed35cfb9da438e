"""The object store is slow, refuses, breaks off, returns wrong bytes or is full."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage import DirectoryStore

if TYPE_CHECKING:
    from tests.support.laboratory import Laboratory

pytestmark = pytest.mark.stack


class FaultyStore(ThreadingHTTPServer):
    """Part of S3 in front of a directory, with faults for the next requests.

    Args:
        store: with the objects.
    """

    def __init__(self, store: DirectoryStore) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.store = store
        self.faults: dict[str, deque[Callable[[_Handler, bytes], None]]] = {"GET": deque(), "PUT": deque()}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FaultyStore

    def do_GET(self) -> None:
        data = self.server.store.get(self.path.removeprefix("/bucket/"))
        self._fault(data) or self.answer(200, data)

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._fault(data):
            self.server.store.put(data)
            self.answer(200, b"")

    def _fault(self, data: bytes) -> bool:
        try:
            fault = self.server.faults[self.command].popleft()
        except IndexError:
            return False
        fault(self, data)
        return True

    def answer(self, status: int, data: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


def slow(handler: _Handler, data: bytes) -> None:
    time.sleep(2.5)
    handler.answer(200, data)


def refuse(handler: _Handler, data: bytes) -> None:
    handler.answer(503, b"")


def break_off(handler: _Handler, data: bytes) -> None:
    handler.answer(200, data[: len(data) // 2], len(data))
    handler.close_connection = True


def return_wrong_bytes(handler: _Handler, data: bytes) -> None:
    handler.answer(200, data[:-1] + b"?")


@pytest.fixture(scope="module")
def store(standing_laboratory: Laboratory) -> Iterator[FaultyStore]:
    server = FaultyStore(standing_laboratory.store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def remote(standing_laboratory: Laboratory, store: FaultyStore) -> Laboratory:
    """Laboratory whose worker uses the faulty store."""
    standing_laboratory.worker(
        KARYO_OBJECT_STORE="s3://bucket",
        KARYO_S3_ENDPOINT_URL=store.url,
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
        AWS_DEFAULT_REGION="us-east-1",
    )
    standing_laboratory.scheduler()
    return standing_laboratory


@pytest.mark.parametrize(
    ("method", "fault", "times"),
    [("GET", slow, 1), ("GET", refuse, 4), ("PUT", refuse, 4), ("GET", break_off, 4), ("PUT", slow, 1)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_an_unavailable_store_is_retried(
    remote: Laboratory, store: FaultyStore, method: str, fault: Callable[[_Handler, bytes], None], times: int
) -> None:
    name = f"{method} {fault.__name__}"
    store.faults[method].extend([fault] * times)
    remote.add(remote.pipeline(), 3, prefix=name, accession=name)
    remote.wait(remote.summarised)
    assert not store.faults[method]
    assert {state for file, state in remote.states().items() if file.startswith(name)} == {"done"}
    assert "chunk.given_back" not in remote.log()
    remote.assert_each_once()
    if (method, fault) == ("PUT", slow):  # the time of the store does not count as the image's
        assert all(one.seconds < 2.5 for one in remote.analyses() if one.seconds)


def test_wrong_bytes_fail_the_image_at_its_first_attempt(remote: Laboratory, store: FaultyStore) -> None:
    store.faults["GET"].append(return_wrong_bytes)
    remote.add(remote.pipeline(), 3, prefix="wrong", accession="wrong")
    remote.wait(remote.summarised)
    failed = [one for one in remote.analyses() if one.reason]
    assert [(one.state, one.reason, one.attempts) for one in failed] == [("failed", "object_corrupt", 1)]
    assert sorted(state for file, state in remote.states().items() if file.startswith("wrong")) == [
        "done",
        "done",
        "failed",
    ]
    remote.assert_each_once()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """File system of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tiny file system is not allowed here")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_fails_no_image(laboratory: Laboratory, tiny_disk: Path) -> None:
    laboratory.store = DirectoryStore(tiny_disk)
    laboratory.add(laboratory.pipeline(), 3)
    ballast = tiny_disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(bytes(2**20))
    laboratory.worker(KARYO_OBJECT_STORE=tiny_disk.as_uri())
    laboratory.scheduler()
    laboratory.wait(lambda: "chunk.given_back" in laboratory.log())
    assert "No space left on device" in laboratory.log()
    assert "done" not in laboratory.states().values()
    ballast.unlink()
    laboratory.wait(laboratory.summarised)
    assert set(laboratory.states().values()) == {"done"}
    assert {analysis.attempts for analysis in laboratory.analyses()} == {1}
    laboratory.assert_each_once()
