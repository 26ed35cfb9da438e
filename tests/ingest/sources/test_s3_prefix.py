"""Prefixes of S3 buckets, served over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ingest.rejections import IngestError, Rejected
from ingest.sources.base import Item
from ingest.sources.content import PassedOver
from ingest.sources.s3_prefix import S3PrefixSource
from storage import StoreMisconfigured, StoreUnavailable
from tests.support.unknown_files import ANSWERS, FILES, answer_by_name

Open = Callable[..., S3PrefixSource]


@pytest.fixture
def open_prefix(bucket: str, s3_endpoint: str) -> Open:
    """Open a prefix of the bucket."""
    return lambda prefix="monday": S3PrefixSource(f"s3://{bucket}/{prefix}", endpoint_url=s3_endpoint)


@pytest.fixture
def put(bucket: str, s3_client: Any) -> Callable[..., None]:
    """Put objects into the bucket whose content is their key."""

    def put_keys(*keys: str) -> None:
        for key in keys:
            s3_client.put_object(Bucket=bucket, Key=key, Body=key.encode())

    return put_keys


def test_images_below_the_prefix_are_items_and_cases_are_folders(
    open_prefix: Open, put: Callable[..., None], bucket: str
) -> None:
    put("monday/A/1.tif", "monday/A/slide 2/ü.PNG", "monday/loose.tif", "monday2/other.tif", "monday.tif")
    put("monday/", "monday/notes.txt", "monday/.hidden/1.tif")
    source = open_prefix()
    answers = list(source.items())
    assert [answer.kind for answer in answers if isinstance(answer, PassedOver)] == ["hidden", ".txt"]
    items = [answer for answer in answers if isinstance(answer, Item)]
    assert (source.kind, source.source) == ("prefix", f"s3://{bucket}/monday")
    assert [(item.name, item.labels.case) for item in items if isinstance(item, Item)] == [
        ("A/1.tif", "A"),
        ("A/slide 2/ü.PNG", "A/slide 2"),
        ("loose.tif", "monday"),
    ]
    assert [item.read(100) for item in items if isinstance(item, Item)] == [
        b"monday/A/1.tif",
        "monday/A/slide 2/ü.PNG".encode(),
        b"monday/loose.tif",
    ]


def test_a_whole_bucket_and_a_trailing_slash_are_prefixes(
    open_prefix: Open, put: Callable[..., None], bucket: str
) -> None:
    put("loose.tif", "monday/1.tif")
    assert [(item.name, item.labels.case) for item in open_prefix("").items() if isinstance(item, Item)] == [
        ("loose.tif", bucket),
        ("monday/1.tif", "monday"),
    ]
    assert [item.name for item in open_prefix("monday/").items()] == ["1.tif"]


def test_every_page_of_the_listing_is_read(
    open_prefix: Open, put: Callable[..., None], bucket: str, s3_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    names = [f"{number}.tif" for number in range(5)]
    put(*(f"monday/{name}" for name in names))
    assert s3_client.list_objects_v2(Bucket=bucket)["KeyCount"] == 2
    assert [item.name for item in open_prefix().items()] == names


def test_hostile_keys_are_rejected(open_prefix: Open, put: Callable[..., None]) -> None:
    put("monday/../up.tif", "monday//etc/root.tif", "monday/right\u202eto left.tif", "monday/good.tif")
    reasons = {item.name: item.reason for item in open_prefix().items() if isinstance(item, Rejected)}
    assert reasons == {
        "../up.tif": "outside_collection",
        "/etc/root.tif": "outside_collection",
        "right\\u202eto left.tif": "unsafe_name",
    }


def test_a_large_object_is_rejected_before_it_is_read(open_prefix: Open, put: Callable[..., None]) -> None:
    put("monday/1.tif")
    assert open_prefix().read("1.tif", len("monday/1.tif")) == b"monday/1.tif"
    rejection = open_prefix().read("1.tif", 5)
    assert isinstance(rejection, Rejected)
    assert rejection.reason == "too_many_bytes"


def test_an_object_that_is_gone_is_rejected_alone(open_prefix: Open, put: Callable[..., None]) -> None:
    rejection = open_prefix().read("gone.tif", 100)
    assert isinstance(rejection, Rejected)
    assert (rejection.reason, "NoSuchKey" in rejection.sentence) == ("unreadable_file", True)


def test_a_store_that_does_not_answer_stops_the_batch(bucket: str, s3_endpoint: str) -> None:
    source = S3PrefixSource(f"s3://{bucket}/monday", endpoint_url="http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable, match="Run the command again"):
        source.read("1.tif", 100)


def test_a_url_with_credentials_is_refused_without_them() -> None:
    with pytest.raises(IngestError, match="AWS_SECRET_ACCESS_KEY") as caught:
        S3PrefixSource("s3://key:hunter2-TopSecret@bucket/monday")
    assert "hunter2-TopSecret" not in str(caught.value)


def test_missing_credentials_are_a_wrong_setting(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StoreMisconfigured, match="set AWS_ACCESS_KEY_ID"):
        list(S3PrefixSource("s3://bucket/monday", endpoint_url=s3_endpoint).names())


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("s3://{bucket}/empty", "prefix_not_found"),
        ("s3://no-such-bucket-here/monday", "prefix_unreadable"),
        ("s3://", "prefix_unreadable"),
    ],
)
def test_a_wrong_prefix_is_refused(bucket: str, s3_endpoint: str, url: str, reason: str) -> None:
    with pytest.raises(IngestError) as caught:
        S3PrefixSource(url.format(bucket=bucket), endpoint_url=s3_endpoint).items()
    assert caught.value.reason == reason


def answers(source: S3PrefixSource) -> dict[str, str]:
    """Return the answers to every object."""
    return answer_by_name(source.items())


def test_objects_without_a_known_suffix_are_judged_by_their_content(
    open_prefix: Open, bucket: str, s3_client: Any
) -> None:
    for name, data in FILES.items():
        s3_client.put_object(Bucket=bucket, Key=f"monday/A/{name}", Body=data)
    for name in ("monday/A/", "monday/folder.png/"):
        s3_client.put_object(Bucket=bucket, Key=name, Body=b"")
    assert answers(open_prefix()) == {f"A/{name}": answer for name, answer in ANSWERS.items()} | {
        "folder.png/": "not_a_file"
    }


def test_reports_of_karyoflow_are_passed_over(open_prefix: Open, put: Callable[..., None]) -> None:
    put("monday/out/karyograms/a.png", "monday/out/overlays/a.png", "monday/out/report.html", "monday/out/b.png")
    put("monday/karyograms/a.png")
    assert answers(open_prefix()) == {
        "out/karyograms/a.png": "in a report of karyoflow",
        "out/overlays/a.png": "in a report of karyoflow",
        "out/report.html": ".html",
        "out/b.png": "out",
        "karyograms/a.png": "karyograms",
    }
