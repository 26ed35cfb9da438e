"""A store that is down, full or misnamed says so, and leaves no partial object."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage import DirectoryStore, S3Store, StoreUnavailable, key_of, open_store


def test_an_outage_is_raised_within_seconds(s3_endpoint: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        store = S3Store("bucket", endpoint_url=f"http://127.0.0.1:{free.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="Cannot write the object store s3://bucket/"):
            store.put(b"metaphase")
        with pytest.raises(StoreUnavailable, match="Cannot reach"):
            store.check()
    assert time.monotonic() - started < 15


def test_a_bucket_that_does_not_exist_is_not_a_missing_object(s3_endpoint: str) -> None:
    store = S3Store("no-such-bucket", endpoint_url=s3_endpoint)
    for use in (store.check, lambda: store.put(b"x"), lambda: list(store.keys()), lambda: store.get(key_of(b"x"))):
        with pytest.raises(StoreUnavailable):
            use()


def test_large_objects_are_uploaded_in_parts(s3_client: Any, s3_endpoint: str, bucket: str) -> None:
    store = S3Store(bucket, endpoint_url=s3_endpoint, multipart_bytes=6 * 2**20)
    data = os.urandom(11 * 2**20)
    assert store.put(data) == store.put(data)
    assert store.get(key_of(data)) == data
    etag = s3_client.head_object(Bucket=bucket, Key=key_of(data))["ETag"]
    assert etag.strip('"').endswith("-3")  # parts of 5 MiB


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = os.geteuid() == 0 and (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False
        ).returncode
        == 0
    )
    if not mounted:
        pytest.skip("mounting a tiny file system is not allowed here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_keeps_no_partial_object(tiny_disk: Path) -> None:
    store = DirectoryStore(tiny_disk)
    small = store.put(b"small")
    with pytest.raises(StoreUnavailable, match=os.strerror(errno.ENOSPC)):
        store.put(os.urandom(2**20))
    assert list(store.keys()) == [small]
    assert list((tiny_disk / "parts").iterdir()) == []
    assert store.get(store.put(b"another")) == b"another"


_PUT_BEYOND_THE_LIMIT = """
import sys
from pathlib import Path
from storage import DirectoryStore, StoreUnavailable
try:
    DirectoryStore(Path(sys.argv[1])).put(bytes(2**20))
except StoreUnavailable as error:
    print(error)
"""


def test_an_interrupted_write_keeps_no_partial_object(tmp_path: Path) -> None:
    def allow_small_files_only() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    child = subprocess.run(
        [sys.executable, "-B", "-c", _PUT_BEYOND_THE_LIMIT, tmp_path],
        preexec_fn=allow_small_files_only,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert os.strerror(errno.EFBIG) in child.stdout
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_directory_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = DirectoryStore(tmp_path / "file")
    for use in (store.check, lambda: store.put(b"x")):
        with pytest.raises(StoreUnavailable, match="permissions of the object store"):
            use()


def test_a_part_of_a_killed_process_is_no_object_and_is_removed_after_hours(tmp_path: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from storage import DirectoryStore
os.fsync = lambda _: os.kill(os.getpid(), 9)
DirectoryStore(Path(sys.argv[1])).put(b"half")
"""
    killed = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "parts").iterdir()
    store = DirectoryStore(tmp_path)
    key = store.put(b"whole")
    assert list(store.keys()) == [key]
    assert left.exists()  # its writer may live
    os.utime(left, (time.time() - 7 * 3600,) * 2)
    store = DirectoryStore(tmp_path)
    assert store.get(store.put(b"half")) == b"half"
    assert list((tmp_path / "parts").iterdir()) == []


def test_putting_a_damaged_object_of_another_size_again_repairs_it(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    key = store.put(b"metaphase")
    (tmp_path / key).chmod(0o644)
    (tmp_path / key).write_bytes(b"meta")
    assert store.get(store.put(b"metaphase")) == b"metaphase"


def test_urls_open_stores(tmp_path: Path) -> None:
    directory = open_store((tmp_path / "with space").as_uri())
    assert isinstance(directory, DirectoryStore)
    assert directory.root == tmp_path / "with space"
    s3 = open_store("s3://bucket/some/prefix/", endpoint_url="http://localhost:9000")
    assert isinstance(s3, S3Store)
    assert (s3.bucket, s3.prefix) == ("bucket", "some/prefix/")
    assert getattr(open_store("s3://bucket"), "prefix", None) == ""


@pytest.mark.parametrize("url", ["", "/data", "file://data", "http://bucket", "s3:///prefix"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket/prefix or file:///directory"):
        open_store(url)
