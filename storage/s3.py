"""Object store in a bucket of S3 or of an S3-compatible service."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from storage.objects import ObjectMissing, StoreUnavailable, key_of, validate_key, verify_bytes

# Error codes of S3 and of compatible services.
_ABSENT = {"404", "NoSuchKey"}
_EXISTS = {"412", "PreconditionFailed"}
_CONDITION_UNDECIDED = {"409", "ConditionalRequestConflict", "501", "NotImplemented"}


class S3Store:
    """Objects ``PREFIX/sha256/ab/cdef...`` in a bucket, with the credentials of the AWS tools.

    Args:
        bucket: name of the bucket.
        prefix: of every key in the bucket.
        endpoint_url: address of an S3-compatible service; without it, AWS.
        multipart_bytes: objects of at least this size are uploaded in parts.
    """

    def __init__(
        self, bucket: str, prefix: str = "", *, endpoint_url: str | None = None, multipart_bytes: int = 64 * 2**20
    ) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/".lstrip("/")
        self._transfer = TransferConfig(
            multipart_threshold=multipart_bytes, multipart_chunksize=max(multipart_bytes // 4, 5 * 2**20)
        )
        self._client = make_client(endpoint_url)

    def put(self, data: bytes, key: str | None = None) -> str:
        """Store ``data`` and return its key."""
        key = validate_key(key) if key else key_of(data)
        if len(data) >= self._transfer.multipart_threshold:
            self._put_large(key, data)
            return key
        with self._translate_errors("write"):
            try:
                self._client.put_object(**self._at(key), Body=data, IfNoneMatch="*")
            except ClientError as error:
                if _code(error) in _CONDITION_UNDECIDED:  # writing the same bytes twice is harmless
                    self._client.put_object(**self._at(key), Body=data)
                elif _code(error) not in _EXISTS:
                    raise
        return key

    def _put_large(self, key: str, data: bytes) -> None:
        if not self.has(key):
            with self._translate_errors("write"):
                self._client.upload_fileobj(io.BytesIO(data), self.bucket, self.prefix + key, Config=self._transfer)

    def get(self, key: str) -> bytes:
        """Return the verified bytes of ``key``."""
        with self._translate_errors("read"):
            try:
                data: bytes = self._client.get_object(**self._at(validate_key(key)))["Body"].read()
            except ClientError as error:
                if _code(error) in _ABSENT:
                    raise ObjectMissing(key) from None
                raise
        return verify_bytes(key, data)

    def has(self, key: str) -> bool:
        """Return whether there is an object under ``key``."""
        with self._translate_errors("read"):
            try:
                self._client.head_object(**self._at(validate_key(key)))
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return False
                raise
        return True

    def delete(self, key: str) -> None:
        """Remove the object under ``key``, if there is one."""
        with self._translate_errors("delete"):
            self._client.delete_object(**self._at(validate_key(key)))

    def keys(self) -> Iterator[str]:
        """Yield every key, in order."""
        with self._translate_errors("list"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=f"{self.prefix}sha256/"
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    yield item["Key"].removeprefix(self.prefix)

    def check(self) -> None:
        """Return if the store can be used now."""
        with self._translate_errors("reach"):
            self._client.head_bucket(Bucket=self.bucket)

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.prefix + key}

    @contextmanager
    def _translate_errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, Boto3Error, ClientError) as error:
            raise StoreUnavailable(
                f"Cannot {verb} the object store s3://{self.bucket}/{self.prefix}: {error}. "
                "Check its address, the bucket's name and the credentials."
            ) from error


def make_client(endpoint_url: str | None) -> Any:
    """Return the S3 client of boto3 that every part of karyoflow uses.

    Args:
        endpoint_url: address of an S3-compatible service; without it, AWS.
    """
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        config=Config(
            connect_timeout=3,
            read_timeout=30,
            retries={"mode": "adaptive", "total_max_attempts": 3},
            max_pool_connections=32,
            # Self-hosted services seldom have a DNS name for each bucket.
            s3={"addressing_style": "path" if endpoint_url else "auto"},
        ),
    )


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
