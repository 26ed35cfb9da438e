"""Images under a prefix of an S3 bucket. Objects are streamed into memory, never to disk."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from typing import Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError

from db.enums import BatchKind
from ingest.printable import printable
from ingest.rejections import IngestError, Rejected, rejected
from ingest.sources.base import NamedFiles, is_hidden, path_problem
from ingest.sources.content import (
    HIDDEN,
    IN_REPORT,
    PICTURE_FOLDERS,
    REPORT_PAGES,
    PassedOver,
    is_image_name,
    judge_name,
)
from ingest.sources.labels import NO_LABELS, Labels
from karyotyping.image.formats import HEAD_BYTES
from storage import StoreMisconfigured, StoreUnavailable, describe_error, make_client, remedy_for
from telemetry.redaction import redact

SCHEME = "s3://"
_HEAD_READERS = 8  # threads that fetch the first bytes of objects without a known suffix
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
            raise IngestError("prefix_unreadable", url=redact(printable(url)), error="it names no bucket")
        if "@" in self._bucket:
            error = "it holds credentials, which belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            raise IngestError("prefix_unreadable", url=redact(printable(url)), error=error)
        folder = prefix.strip("/")
        source = printable(f"{SCHEME}{self._bucket}/{folder}")
        super().__init__(source, folder.rpartition("/")[2] or self._bucket, defaults)
        self._prefix = f"{folder}/" if folder else ""
        self._client = make_client(endpoint_url)
        self._reports: dict[str, bool] = {}

    def names(self) -> Iterator[str | Rejected | PassedOver]:
        """See :class:`~ingest.sources.base.NamedFiles`.

        Raises:
            IngestError: ``prefix_unreadable`` or ``prefix_not_found``.
            StoreMisconfigured: The AWS settings of this process cannot be used.
            StoreUnavailable: A later page of the listing cannot be read.
        """
        request = {"Bucket": self._bucket, "Prefix": self._prefix}
        pages = iter(self._client.get_paginator("list_objects_v2").paginate(**request))
        try:
            first = next(pages)
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, BotoCoreError) and (remedy := remedy_for(error)):
                sentence = f"{printable(self.source)} cannot be listed: {describe_error(error)}; {remedy}."
                raise StoreMisconfigured(sentence) from error
            raise IngestError("prefix_unreadable", url=printable(self.source), error=describe_error(error)) from error
        if not first.get("Contents"):
            raise IngestError("prefix_not_found", url=printable(self.source))
        return self._names(first, pages)

    def read(self, name: str, max_bytes: int) -> bytes | Rejected:
        """See :class:`~ingest.sources.base.NamedFiles`.

        Raises:
            StoreUnavailable: The bucket, and not this object alone, cannot be read.
        """
        return self._get(name, max_bytes + 1, max_bytes)

    def head(self, name: str) -> bytes | Rejected:
        """See :class:`~ingest.sources.base.NamedFiles`.

        Raises:
            StoreUnavailable: The bucket, and not this object alone, cannot be read.
        """
        return self._get(name, HEAD_BYTES, Range=f"bytes=0-{HEAD_BYTES - 1}")

    def _get(self, name: str, count: int, max_bytes: int | None = None, **request: str) -> bytes | Rejected:
        """Return the first ``count`` bytes of an object of at most ``max_bytes``, or its rejection."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name, **request)
            with closing(answer["Body"]) as body:
                if max_bytes is not None and answer["ContentLength"] > max_bytes:
                    return rejected(name, "too_many_bytes", size=answer["ContentLength"], limit=max_bytes)
                data: bytes = body.read(count)
                return data
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code == "InvalidRange":  # of an empty object
                return b""
            if code in _OBJECT_ERRORS:
                return rejected(name, "unreadable_file", error=code)
            raise self._unavailable(error) from error
        except BotoCoreError as error:
            raise self._unavailable(error) from error

    def _names(self, first: dict[str, Any], pages: Iterator[dict[str, Any]]) -> Iterator[str | Rejected | PassedOver]:
        """Yield the answers page by page; the contents that decide are fetched by some threads."""
        try:
            with ThreadPoolExecutor(_HEAD_READERS, thread_name_prefix="s3-head") as threads:
                for page in chain([first], pages):
                    names = [entry["Key"].removeprefix(self._prefix) for entry in page.get("Contents", ())]
                    yield from threads.map(self._answer, [name for name in names if not _is_folder(name)])
        except (BotoCoreError, ClientError) as error:
            raise self._unavailable(error) from error

    def _answer(self, name: str) -> str | Rejected | PassedOver:
        if is_hidden(name):
            return PassedOver(name, HIDDEN)
        if name.endswith("/"):
            return rejected(name, "not_a_file", kind="folder")
        decided = judge_name(name)
        if isinstance(decided, PassedOver):
            return decided
        if (problem := path_problem(name)) is not None:
            return problem
        folder, _, part = name.rpartition("/")[0].rpartition("/")
        if part in PICTURE_FOLDERS and self._is_report(folder):
            return PassedOver(name, IN_REPORT)
        return self.answer(name)

    def _is_report(self, folder: str) -> bool:
        """Return whether a folder holds the page of a report; one request for each folder."""
        if folder not in self._reports:
            start = f"{folder}/" if folder else ""
            pages = [self._get(start + page, 1, Range="bytes=0-0") for page in sorted(REPORT_PAGES)]
            self._reports[folder] = any(isinstance(page, bytes) for page in pages)
        return self._reports[folder]

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(
            f"Cannot read {printable(self.source)}: {describe_error(error)}. "
            "Run the command again; known images are passed over."
        )


def _is_folder(name: str) -> bool:
    """Return whether an object is the mark of a folder that is not named like an image."""
    return name == "" or (name.endswith("/") and not is_image_name(name.rstrip("/")))
