"""S3 over TLS without streaming trailers, and the sentences for wrong settings."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from storage import S3Store, StoreMisconfigured, StoreUnavailable, key_of, make_client
from telemetry import redaction
from tests.support.tls_s3 import tls_s3

SECRET = "hunter2-TopSecret"
ACCESS_KEY = "AKIAHIDDENKEY123"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    with tls_s3(tmp_path_factory.mktemp("tls")) as found:
        yield found


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_any_secret", None)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


@pytest.fixture
def bucket(service: tuple[str, Path], credentials: pytest.MonkeyPatch) -> str:
    endpoint, certificate = service
    credentials.setenv("AWS_CA_BUNDLE", str(certificate))
    name = f"bucket-{uuid.uuid4()}"
    make_client(endpoint).create_bucket(Bucket=name)
    return name


def test_objects_are_stored_read_and_listed_over_tls(service: tuple[str, Path], bucket: str) -> None:
    store = S3Store(bucket, "karyo", endpoint_url=service[0], multipart_bytes=6 * 2**20)
    small, large = b"metaphase", os.urandom(11 * 2**20)
    for data in (small, large):
        assert store.put(data) == store.put(data) == key_of(data)
        assert store.get(key_of(data)) == data
        assert store.has(key_of(data))
    assert list(store.keys()) == sorted((key_of(small), key_of(large)))
    store.check()
    store.delete(key_of(small))
    assert not store.has(key_of(small))


def test_the_service_refuses_the_default_of_boto3(service: tuple[str, Path], bucket: str) -> None:
    default: Any = boto3.client("s3", endpoint_url=service[0])
    with pytest.raises(ClientError, match="InvalidArgument"):
        default.put_object(Bucket=bucket, Key="key", Body=b"metaphase")


def test_an_unknown_certificate_is_explained(service: tuple[str, Path]) -> None:
    with pytest.raises(StoreMisconfigured, match="set AWS_CA_BUNDLE"):
        S3Store("bucket", endpoint_url=service[0]).check()


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"AWS_PROFILE": "nosuch"}, r"\(nosuch\) could not be found; set AWS_PROFILE"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY are empty"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY is empty"),
        ({"AWS_DEFAULT_REGION": "no region"}, "set AWS_DEFAULT_REGION"),
        ({"AWS_CA_BUNDLE": "/nonexistent.pem"}, "set AWS_CA_BUNDLE"),
    ],
)
def test_wrong_aws_settings_are_one_sentence(
    service: tuple[str, Path], credentials: pytest.MonkeyPatch, environment: dict[str, str], sentence: str
) -> None:
    for name, value in environment.items():
        credentials.setenv(name, value)
    with pytest.raises(StoreUnavailable, match=sentence) as caught:
        S3Store("bucket", endpoint_url=service[0]).put(b"metaphase")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, StoreMisconfigured)
    assert SECRET not in str(caught.value)


def test_a_missing_bucket_is_a_wrong_setting(service: tuple[str, Path], bucket: str) -> None:
    store = S3Store("no-such-bucket", endpoint_url=service[0])
    for use in (store.check, lambda: store.put(b"x")):
        with pytest.raises(StoreMisconfigured, match="make the bucket"):
            use()


def test_an_access_key_in_an_answer_is_masked(service: tuple[str, Path], bucket: str) -> None:
    store = S3Store(bucket, endpoint_url=service[0])
    problem = ClientError({"Error": {"Code": "Forbidden", "Message": f"No such key: {ACCESS_KEY}"}}, "PutObject")
    with pytest.raises(StoreUnavailable) as caught, store._translate_errors("write"):
        raise problem
    assert ACCESS_KEY not in str(caught.value)
    assert "No such key: ***" in str(caught.value)
