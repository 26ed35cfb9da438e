"""Contract of every object store, tested on a directory and on S3 over HTTP."""

from __future__ import annotations

import hashlib
import os
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from storage import DirectoryStore, ObjectCorrupt, ObjectMissing, ObjectStore, S3Store, key_of, sha256_of

ABSENT = key_of(b"never stored")


@pytest.fixture(params=["directory", "served s3", "real s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    if request.param == "directory":
        yield DirectoryStore(tmp_path / "objects")
        return
    if request.param == "served s3":
        yield S3Store(request.getfixturevalue("bucket"), "karyo", endpoint_url=request.getfixturevalue("s3_endpoint"))
        return
    bucket = os.environ.get("KARYO_TEST_S3_URL", "").removeprefix("s3://").rstrip("/")
    if not bucket:
        pytest.skip("KARYO_TEST_S3_URL (s3://bucket) names no real bucket to test with")
    real = S3Store(bucket, f"contract-{uuid.uuid4()}", endpoint_url=os.environ.get("KARYO_TEST_S3_ENDPOINT"))
    yield real
    for key in list(real.keys()):
        real.delete(key)


def test_get_returns_the_bytes_of_put(store: ObjectStore) -> None:
    key = store.put(b"metaphase")
    digest = hashlib.sha256(b"metaphase").hexdigest()
    assert key == f"sha256/{digest[:2]}/{digest[2:]}"
    assert store.get(key) == b"metaphase"
    assert store.has(key)


@pytest.mark.parametrize("data", [b"", b"\0" * 1_000_003])
def test_any_bytes_are_an_object(store: ObjectStore, data: bytes) -> None:
    assert store.get(store.put(data)) == data


def test_putting_again_changes_nothing(store: ObjectStore) -> None:
    assert store.put(b"once") == store.put(b"once")
    assert list(store.keys()) == [key_of(b"once")]


def test_many_threads_may_put_the_same_bytes(store: ObjectStore) -> None:
    barrier = threading.Barrier(4)

    def put(_: int) -> str:
        barrier.wait()
        return store.put(b"everybody's")

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(put, range(4))) == {key_of(b"everybody's")}
    assert store.get(key_of(b"everybody's")) == b"everybody's"


def test_a_missing_object_is_reported(store: ObjectStore) -> None:
    assert not store.has(ABSENT)
    with pytest.raises(ObjectMissing, match=ABSENT):
        store.get(ABSENT)


def test_delete_removes_and_may_be_repeated(store: ObjectStore) -> None:
    key = store.put(b"retention ended")
    store.delete(key)
    store.delete(key)
    assert not store.has(key)


def test_keys_come_in_order(store: ObjectStore) -> None:
    assert list(store.keys()) == []
    put = {store.put(bytes([n])) for n in range(12)}
    assert list(store.keys()) == sorted(put)


def test_a_usable_store_passes_its_check(store: ObjectStore) -> None:
    store.check()
    assert list(store.keys()) == []


@pytest.mark.parametrize(
    "key", ["", "../../etc/passwd", "sha256/ab/../../x", "/etc/passwd", ABSENT.upper(), ABSENT + "\n"]
)
def test_other_strings_than_keys_are_refused(store: ObjectStore, key: str) -> None:
    for method in (store.get, store.has, store.delete):
        with pytest.raises(ValueError, match="not an object key"):
            method(key)


def test_wrong_bytes_in_a_directory_are_noticed(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    key = store.put(b"metaphase")
    (tmp_path / key).chmod(0o644)
    (tmp_path / key).write_bytes(b"metaphasE")
    with pytest.raises(ObjectCorrupt, match=key):
        store.get(key)


def test_wrong_bytes_in_s3_are_noticed(s3_client: Any, s3_endpoint: str, bucket: str) -> None:
    store = S3Store(bucket, "karyo", endpoint_url=s3_endpoint)
    key = store.put(b"metaphase")
    s3_client.put_object(Bucket=bucket, Key=f"karyo/{key}", Body=b"metaphasE")
    with pytest.raises(ObjectCorrupt, match=key):
        store.get(key)


def test_a_key_that_the_caller_computed_is_used(store: ObjectStore) -> None:
    key = key_of(b"hashed by the caller")
    assert store.put(b"hashed by the caller", key) == key
    assert store.get(key) == b"hashed by the caller"
    assert sha256_of(key) == hashlib.sha256(b"hashed by the caller").hexdigest()


def test_a_text_that_is_no_key_is_refused(store: ObjectStore) -> None:
    with pytest.raises(ValueError, match="not an object key"):
        store.put(b"x", "../outside")


def test_entries_have_size_and_age_and_begin_after_a_key(store: ObjectStore) -> None:
    began = datetime.now(UTC)
    keys = sorted(store.put(data) for data in (b"", b"one", b"second", b"third one"))
    entries = list(store.entries())
    assert [entry.key for entry in entries] == keys
    assert {entry.byte_count for entry in entries} == {0, 3, 6, 9}
    assert all(abs(entry.modified_at - began) < timedelta(minutes=5) for entry in entries)
    for place, key in enumerate(keys):
        assert [entry.key for entry in store.entries(key)] == keys[place + 1 :]
        assert [entry.key for entry in store.entries(key[:9])] == [one for one in keys if one > key[:9]]
