"""Object store of images and artefacts: S3 or a directory behind one interface."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from settings.addresses import check_object_store
from storage.directory import DirectoryStore
from storage.objects import (
    ObjectCorrupt,
    ObjectMissing,
    ObjectStore,
    StorageError,
    StoredObject,
    StoreMisconfigured,
    StoreUnavailable,
    key_of,
    sha256_of,
)
from storage.s3 import S3Store, describe_error, make_client, remedy_for

__all__ = [
    "DirectoryStore",
    "ObjectCorrupt",
    "ObjectMissing",
    "ObjectStore",
    "S3Store",
    "StorageError",
    "StoreMisconfigured",
    "StoreUnavailable",
    "StoredObject",
    "describe_error",
    "key_of",
    "make_client",
    "open_store",
    "remedy_for",
    "sha256_of",
]


def open_store(url: str, *, endpoint_url: str | None = None) -> ObjectStore:
    """Return the store at a URL; it connects to nothing before its first use (see ``check``).

    Args:
        url: ``s3://bucket/prefix`` or ``file:///directory``.
        endpoint_url: address of an S3-compatible service; without it, AWS.

    Raises:
        ValueError: ``url`` has another form.
        StoreMisconfigured: the AWS settings of this process cannot be used.
    """
    check_object_store("KARYO_OBJECT_STORE", url)
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return S3Store(parts.netloc, parts.path, endpoint_url=endpoint_url)
    return DirectoryStore(Path(unquote(parts.path)))
