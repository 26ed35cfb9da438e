"""Interface of an object store: content-addressed, immutable, the same for every backend."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, Protocol

_KEY = re.compile(r"sha256/[0-9a-f]{2}/[0-9a-f]{62}")


class StoredObject(NamedTuple):
    """An object as the listing of a store has it."""

    key: str
    byte_count: int
    modified_at: datetime


class ObjectStore(Protocol):
    """Immutable objects under the sha256 of their bytes. Safe to share between threads.

    Every method raises ``StoreUnavailable`` when the store cannot be reached or used.
    """

    def put(self, data: bytes, key: str | None = None) -> str:
        """Store ``data`` and return its key; storing the same bytes again changes nothing.

        Args:
            data: bytes of the object.
            key: ``key_of(data)``, if the caller has computed it already; the bytes are then not hashed again.
        """

    def get(self, key: str) -> bytes:
        """Return the bytes of ``key``, verified against it.

        Raises:
            ObjectMissing: there is no such object.
            ObjectCorrupt: the stored bytes have another sha256.
        """

    def has(self, key: str) -> bool:
        """Return whether there is an object under ``key``; its bytes are not verified."""

    def delete(self, key: str) -> None:
        """Remove the object under ``key``, if there is one."""

    def keys(self) -> Iterator[str]:
        """Yield every key, in order."""

    def entries(self, after: str = "") -> Iterator[StoredObject]:
        """Yield every object whose key follows ``after``, in order of the keys."""

    def check(self) -> None:
        """Return if the store can be used now."""


class StorageError(Exception):
    """Failure of an object or of its store."""


class ObjectMissing(StorageError):
    """The store has no such object."""

    def __init__(self, key: str) -> None:
        super().__init__(f"The object store has no object {key}; ingest the image again or restore it from a backup.")


class ObjectCorrupt(StorageError):
    """The store returned bytes with another sha256 than the key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"Object {key} is damaged in the object store; delete it and ingest the image again.")


class StoreUnavailable(StorageError):
    """The store cannot be reached or used; a later retry may succeed."""


class StoreMisconfigured(StoreUnavailable):
    """The store cannot be used with these settings; a person must change them."""


def key_of(data: bytes) -> str:
    """Return the key of ``data``.

    >>> key_of(b"")
    'sha256/e3/b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    digest = hashlib.sha256(data).hexdigest()
    return f"sha256/{digest[:2]}/{digest[2:]}"


def sha256_of(key: str) -> str:
    """Return the hexadecimal sha256 that ``key`` is made of.

    >>> sha256_of(key_of(b""))[:8]
    'e3b0c442'
    """
    return validate_key(key).removeprefix("sha256/").replace("/", "")


def validate_key(key: str) -> str:
    """Return ``key`` if ``key_of`` can return it, so that no path leads out of the store.

    Raises:
        ValueError: it cannot.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"not an object key: {key!r}")
    return key


def verify_bytes(key: str, data: bytes) -> bytes:
    """Return ``data`` if its key is ``key``.

    Raises:
        ObjectCorrupt: it has another key.
    """
    if key_of(data) != key:
        raise ObjectCorrupt(key)
    return data
