"""What an object store is: content-addressed, immutable, and the same wherever the bytes lie."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Protocol

_KEY = re.compile(r"sha256/[0-9a-f]{2}/[0-9a-f]{62}")


class ObjectStore(Protocol):
    """Immutable objects under the sha256 of their bytes. Safe to share between threads.

    Every method raises :class:`StoreUnavailable` when the store cannot be reached or used.
    """

    def put(self, data: bytes, key: str | None = None) -> str:
        """Store ``data`` and return its key. Storing the same bytes again, from anywhere, changes nothing.

        Args:
            data: Bytes of the object.
            key: ``key_of(data)``, if the caller has computed it already; the bytes are then not hashed again.
        """

    def get(self, key: str) -> bytes:
        """The bytes of ``key``, checked against it.

        Raises:
            ObjectMissing: there is no such object.
            ObjectCorrupt: the stored bytes are not those that the key promises.
        """

    def has(self, key: str) -> bool:
        """Whether there is an object under ``key``; its bytes are not looked at."""

    def delete(self, key: str) -> None:
        """Remove ``key``, if it is there."""

    def keys(self) -> Iterator[str]:
        """Every key, in order."""

    def check(self) -> None:
        """Return if the store can be used now."""


class StorageError(Exception):
    """Something is wrong with an object or its store."""


class ObjectMissing(StorageError):
    """The store answers, and has no such object."""

    def __init__(self, key: str) -> None:
        super().__init__(f"The object store has no object {key}; ingest the image again or restore it from a backup.")


class ObjectCorrupt(StorageError):
    """The store returned other bytes than those that were put."""

    def __init__(self, key: str) -> None:
        super().__init__(f"Object {key} is damaged in the object store; delete it and ingest the image again.")


class StoreUnavailable(StorageError):
    """The store cannot be reached or used; trying again later may help."""


def key_of(data: bytes) -> str:
    """Key under which ``data`` is stored.

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
    return checked_key(key).removeprefix("sha256/").replace("/", "")


def checked_key(key: str) -> str:
    """``key``, if it is one that :func:`key_of` could have made.

    Raises:
        ValueError: it is not, so it could lead anywhere.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"not an object key: {key!r}")
    return key


def checked_bytes(key: str, data: bytes) -> bytes:
    """``data``, if it is what ``key`` promises.

    Raises:
        ObjectCorrupt: it is not.
    """
    if key_of(data) != key:
        raise ObjectCorrupt(key)
    return data
