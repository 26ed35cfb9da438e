"""Images under a prefix of an S3 bucket. Objects are streamed into memory, never to disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from typing import Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError

from db.enums import BatchKind
from ingest.printable import printable
from ingest.rejections import IngestError, Rejected, rejected
from ingest.sources.base import NamedFiles, is_hidden, is_image_name, path_problem
from ingest.sources.labels import NO_LABELS, Labels
from storage import StoreUnavailable, make_client

SCHEME = "s3://"
_OBJECT_ERRORS = frozenset({"403", "404", "AccessDenied", "InvalidObjectState", "NoSuchKey"})
"""Error codes of one object; others concern the whole bucket. ``InvalidObjectState`` is an object in cold storage."""


class S3PrefixSource(NamedFiles):
    """Images under ``s3://bucket/prefix``, in the order of their keys.

    A prefix is a folder: ``s3://bucket/monday`` does not include ``monday2/cell.tif``. The listing is read page by
    page, so that a prefix may hold any number of objects. Credentials are those of AWS tools.
    """

    kind: ClassVar[BatchKind] = "prefix"

    def __init__(self, url: str, defaults: Labels = NO_LABELS, *, endpoint_url: str | None = None) -> None:
        """Name the prefix, which is listed later.

        Args:
            url: ``s3://bucket/prefix``; the prefix may be empty.
            defaults: Labels of every image; without a case, the folder of an image is its case.
            endpoint_url: Address of an S3-compatible service; without it, AWS.

        Raises:
            IngestError: ``prefix_unreadable``, if ``url`` names no bucket.
        """
        self._bucket, _, prefix = url.removeprefix(SCHEME).partition("/")
        if not url.startswith(SCHEME) or not self._bucket:
            raise IngestError("prefix_unreadable", url=printable(url), error="it names no bucket")
        folder = prefix.strip("/")
        source = printable(f"{SCHEME}{self._bucket}/{folder}")
        super().__init__(source, folder.rpartition("/")[2] or self._bucket, defaults)
        self._prefix = f"{folder}/" if folder else ""
        self._client = make_client(endpoint_url)

    def names(self) -> Iterator[str | Rejected]:
        """See :class:`~ingest.sources.base.NamedFiles`.

        Raises:
            IngestError: ``prefix_unreadable`` or ``prefix_not_found``.
            StoreUnavailable: A later page of the listing cannot be read.
        """
        request = {"Bucket": self._bucket, "Prefix": self._prefix}
        pages = iter(self._client.get_paginator("list_objects_v2").paginate(**request))
        try:
            first = next(pages)
        except (BotoCoreError, ClientError) as error:
            raise IngestError("prefix_unreadable", url=printable(self.source), error=error) from error
        if not first.get("Contents"):
            raise IngestError("prefix_not_found", url=printable(self.source))
        return self._names(first, pages)

    def read(self, name: str, max_bytes: int) -> bytes | Rejected:
        """See :class:`~ingest.sources.base.NamedFiles`.

        Raises:
            StoreUnavailable: The bucket, and not this object alone, cannot be read.
        """
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            with closing(answer["Body"]) as body:
                if answer["ContentLength"] > max_bytes:
                    return rejected(name, "too_many_bytes", size=answer["ContentLength"], limit=max_bytes)
                data: bytes = body.read(max_bytes + 1)
                return data
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _OBJECT_ERRORS:
                return rejected(name, "unreadable_file", error=code)
            raise self._unavailable(error) from error
        except BotoCoreError as error:
            raise self._unavailable(error) from error

    def _names(self, first: dict[str, Any], pages: Iterator[dict[str, Any]]) -> Iterator[str | Rejected]:
        try:
            for page in chain([first], pages):
                for entry in page.get("Contents", ()):
                    name = entry["Key"].removeprefix(self._prefix)
                    if is_image_name(name) and not is_hidden(name):
                        yield path_problem(name) or name
        except (BotoCoreError, ClientError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(
            f"Cannot read {printable(self.source)}: {error}. Run the command again; known images are passed over."
        )
