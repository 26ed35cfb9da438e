"""The source at a location: a path or a URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.sources.archive import open_archive
from ingest.sources.base import Source
from ingest.sources.folder import FolderSource
from ingest.sources.labels import NO_LABELS, Labels
from ingest.sources.manifest import ManifestSource
from ingest.sources.s3_prefix import SCHEME, S3PrefixSource

MANIFEST_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm")


def is_url(location: str) -> bool:
    """Return whether ``location`` is a prefix of a bucket and no path.

    >>> is_url("s3://bucket/monday"), is_url("monday")
    (True, False)
    """
    return location.startswith(SCHEME)


@contextmanager
def open_source(location: str, defaults: Labels = NO_LABELS, *, endpoint_url: str | None = None) -> Iterator[Source]:
    """Yield the source at ``location``, and close it at the end.

    Args:
        location: A folder, a zip archive (``.zip``), a manifest (``.csv``, ``.tsv``, ``.txt``, ``.xlsx``, ``.xlsm``)
            or ``s3://bucket/prefix``.
        defaults: Labels for images without their own; without a case, the folder of an image is its case.
        endpoint_url: Address of an S3-compatible service; without it, AWS.

    Raises:
        IngestError: The source cannot be read.
    """
    path = Path(location)
    suffix = path.suffix.lower()
    if is_url(location):
        yield S3PrefixSource(location, defaults, endpoint_url=endpoint_url)
    elif path.is_dir() or suffix not in (*MANIFEST_SUFFIXES, ".zip"):
        yield FolderSource(path, defaults)
    elif suffix in MANIFEST_SUFFIXES:
        yield ManifestSource(path, defaults)
    else:
        with open_archive(path, defaults) as archive:
            yield archive
