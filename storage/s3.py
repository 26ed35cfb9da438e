"""Object store in a bucket of S3 or of an S3-compatible service."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from boto3.session import Session
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    InvalidConfigError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
)

from storage.objects import (
    ObjectMissing,
    StoredObject,
    StoreMisconfigured,
    StoreUnavailable,
    key_of,
    validate_key,
    verify_bytes,
)
from telemetry.redaction import hide_secret, redact

# Error codes of S3 and of compatible services.
_ABSENT = {"404", "NoSuchKey"}
_EXISTS = {"412", "PreconditionFailed"}
_CONDITION_UNDECIDED = {"409", "ConditionalRequestConflict", "501", "NotImplemented"}
# Answers of the service and errors of boto3 that no repetition changes, and what to do about them.
_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to credentials that this store accepts"
_REGION = "set AWS_DEFAULT_REGION to the region of the bucket"
_BUCKET = "make the bucket, or correct its name"
_REMEDIES = {
    **dict.fromkeys(
        ("AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"), _CREDENTIALS
    ),
    **dict.fromkeys(("AuthorizationHeaderMalformed", "PermanentRedirect"), _REGION),
    **dict.fromkeys(("InvalidBucketName", "NoSuchBucket"), _BUCKET),
}
_MISCONFIGURED: dict[type[Exception], str] = {
    NoCredentialsError: _CREDENTIALS,
    PartialCredentialsError: _CREDENTIALS,
    ProfileNotFound: "set AWS_PROFILE to a profile of ~/.aws/config, or remove it from the environment",
    ConfigParseError: "correct that file of the AWS tools",
    InvalidConfigError: "correct the settings of the AWS tools",
    InvalidRegionError: _REGION,
    NoRegionError: _REGION,
    ParamValidationError: _BUCKET,
    SSLError: "set AWS_CA_BUNDLE to the certificates of its authority, or write http:// if it speaks no TLS",
}
_MAY_BE_EMPTY = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_REGION")


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
        return (entry.key for entry in self.entries())

    def entries(self, after: str = "") -> Iterator[StoredObject]:
        """Yield every object after ``after``, in order."""
        with self._translate_errors("list"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=f"{self.prefix}sha256/", StartAfter=self.prefix + after
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    yield StoredObject(item["Key"].removeprefix(self.prefix), item["Size"], item["LastModified"])

    def check(self) -> None:
        """Return if the store can be used now."""
        with self._translate_errors("reach"):
            try:
                self._client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if _code(error) in _ABSENT:
                    raise StoreMisconfigured(f"{self._address} does not exist; {_BUCKET}.") from error
                raise

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.prefix + key}

    @contextmanager
    def _translate_errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, Boto3Error, ClientError) as error:
            kind = StoreMisconfigured if (remedy := remedy_for(error)) else StoreUnavailable
            remedy = remedy or "check its address, the bucket's name and the credentials"
            raise kind(f"Cannot {verb} {self._address}: {describe_error(error)}; {remedy}.") from error

    @property
    def _address(self) -> str:
        return f"the object store s3://{self.bucket}/{self.prefix}"


def make_client(endpoint_url: str | None) -> Any:
    """Return the S3 client of boto3 that every part of karyoflow uses.

    Args:
        endpoint_url: address of an S3-compatible service; without it, AWS.

    Raises:
        StoreMisconfigured: the AWS settings of this process cannot be used.
    """
    config = Config(
        connect_timeout=3,
        read_timeout=30,
        retries={"mode": "adaptive", "total_max_attempts": 3},
        max_pool_connections=32,
        # Over TLS boto3 appends a checksum as a trailer, which many compatible services refuse. The keys are sha256.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # Self-hosted services seldom have a DNS name for each bucket.
        s3={"addressing_style": "path" if endpoint_url else "auto"},
    )
    try:
        session = Session()
        _hide_credentials(session.get_credentials())
        return session.client("s3", endpoint_url=endpoint_url, config=config)
    except (BotoCoreError, OSError, ValueError) as error:
        remedy = remedy_for(error) or "check KARYO_S3_ENDPOINT_URL and the AWS_* environment"
        raise StoreMisconfigured(f"The object store cannot be used: {describe_error(error)}; {remedy}.") from error


def describe_error(error: Exception) -> str:
    """Return the message of an error of boto3 in one line that holds no secret."""
    if isinstance(error, ParamValidationError):
        return "there can be no bucket of this name"  # boto3 quotes the name and a regular expression
    return redact(" ".join(str(error).split())).rstrip(".")


def remedy_for(error: Exception) -> str | None:
    """Return what a person must change; None if a repetition may succeed."""
    if isinstance(error, ClientError):
        return _REMEDIES.get(_code(error))
    remedy = next((remedy for kind, remedy in _MISCONFIGURED.items() if isinstance(error, kind)), None)
    empty = [name for name in _MAY_BE_EMPTY if os.environ.get(name) == ""]
    return f"{remedy}; {', '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty" if remedy and empty else remedy


def _hide_credentials(credentials: Credentials | None) -> None:
    """Mask the credentials in all that is redacted; temporary ones are not fetched for this."""
    if credentials is not None and not isinstance(credentials, RefreshableCredentials):
        for secret in (credentials.access_key, credentials.secret_key, credentials.token):
            hide_secret(secret)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
