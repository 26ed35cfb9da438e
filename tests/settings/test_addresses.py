"""Addresses that cannot be: a sentence that names the variable; all others pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from db.engine import parse_url
from settings import ConfigurationError, Settings, describe_invalid

SECRET = "hunter2-TopSecret"
GOOD = {
    "DATABASE_URL": f"postgresql://karyo:{SECRET}@db/karyo",
    "BROKER_URL": f"redis://:{SECRET}@broker:6379/0",
    "OBJECT_STORE": "s3://bucket/prefix",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in GOOD.items():
        monkeypatch.setenv(f"KARYO_{name}", value)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("DATABASE_URL", f"mysql://k:{SECRET}@h/db", "starts with mysql://"),
        ("DATABASE_URL", f"k:{SECRET}@h/db", "no scheme"),
        ("DATABASE_URL", f"host=db password={SECRET}", "white space"),
        ("DATABASE_URL", f"postgresql://k:{SECRET}@h/db\n", "white space"),
        ("DATABASE_URL", f"postgresql://k:{SECRET}@h:abc/db", "a port that is no number"),
        ("DATABASE_URL", f"postgresql://k:{SECRET}@h:/db", "a port that is no number"),
        ("DATABASE_URL", f"postgresql://k:{SECRET}@h:70000/db", "a port that is no number from 1 to 65535"),
        ("DATABASE_URL", f"postgresql://k:{SECRET}@[::1/db", "a host that cannot be"),
        ("DATABASE_URL", f"postgresql://k:{SECRET}@a,b/db", "a host or a port that cannot be"),
        ("DATABASE_URL", f"postgresql://k:{SECRET}@x@h/db", "percent code"),
        ("DATABASE_URL", f"postgresql://k:{SECRET}/x@h/db", "percent code"),
        ("DATABASE_URL", f"postgresql://k:{SECRET}#x@h/db", "percent code"),
        ("DATABASE_URL", "postgresql://k:@h/db", "an empty password"),
        ("DATABASE_URL", "postgresql://k:@localhost/db", "an empty password"),
        ("DATABASE_URL", "postgresql://k@h/db", "no password or a well-known one"),
        ("DATABASE_URL", "postgresql:///db?host=h", "no password or a well-known one"),
        ("BROKER_URL", f"amqp://k:{SECRET}@h//", "starts with amqp://"),
        ("BROKER_URL", f"redis://:{SECRET}@h:port/0", "a port that is no number"),
        ("BROKER_URL", f"redis://:{SECRET}@h/zero", "a database that is no number"),
        ("BROKER_URL", "redis://:@localhost/0", "an empty password"),
        ("OBJECT_STORE", f"https://k:{SECRET}@h/bucket?{SECRET}", "KARYO_S3_ENDPOINT_URL"),
        ("OBJECT_STORE", f"ftp://k:{SECRET}@h/bucket", "starts with ftp://"),
        ("OBJECT_STORE", f"s3://key:{SECRET}@bucket/prefix", "AWS_SECRET_ACCESS_KEY"),
        ("OBJECT_STORE", f"s3://bucket/prefix?{SECRET}", "more than bucket and prefix"),
        ("OBJECT_STORE", "s3://My_Bucket/prefix", "a bucket that cannot be, 'My_Bucket'"),
        ("OBJECT_STORE", "s3://ab/prefix", "3 to 63 characters"),
        ("OBJECT_STORE", "s3://192.168.0.1/prefix", "a bucket that cannot be"),
        ("OBJECT_STORE", "objects", "write s3://bucket/prefix or file:///directory"),
        ("S3_ENDPOINT_URL", "localhost:9000", "no scheme"),
        ("S3_ENDPOINT_URL", "ftp://localhost:9000", "starts with ftp://"),
        ("S3_ENDPOINT_URL", "https://:9000", "names no host"),
        ("S3_ENDPOINT_URL", f"https://key:{SECRET}@h", "AWS_SECRET_ACCESS_KEY"),
        ("S3_ENDPOINT_URL", f"https://h/?{SECRET}", "more than an address"),
        ("HOME", "", "KARYO_HOME is empty"),
        ("METRICS_ADDRESS", "127.0.0.1:99999", "a port above 65535"),
        ("MAX_ATTEMPTS", "0", "greater than or equal to 1"),
    ],
)
def test_a_wrong_value_is_one_sentence_without_the_secret(
    environment: pytest.MonkeyPatch, name: str, value: str, part: str
) -> None:
    environment.setenv(f"KARYO_{name}", value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    sentence = describe_invalid(caught.value)
    assert f"KARYO_{name}" in sentence
    assert part in sentence
    assert "\n" not in sentence
    assert SECRET not in sentence + str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_scheme_of_postgresql_is_accepted(environment: pytest.MonkeyPatch, scheme: str) -> None:
    environment.setenv("KARYO_DATABASE_URL", f"{scheme}://karyo:p%40ss%2Fword@db:5432/karyo")
    url = parse_url(str(Settings().database_url))
    assert (url.drivername, url.password, url.host) == ("postgresql+psycopg", "p@ss/word", "db")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://karyo@/karyo?host=/run/postgresql"),
        ("DATABASE_URL", f"postgresql://karyo:{SECRET}@[2001:db8::1]:5432/karyo?sslmode=require"),
        ("BROKER_URL", f"rediss://user:{SECRET}@broker.lab.example:6380"),
        ("BROKER_URL", "redis://localhost"),
        ("BROKER_URL", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("OBJECT_STORE", "s3://lab.images-1/a folder/me@home"),
        ("OBJECT_STORE", "file:///srv/with%20space"),
        ("S3_ENDPOINT_URL", "http://[::1]:9000/"),
        ("S3_ENDPOINT_URL", "https://objects.lab.example/path"),
        ("S3_ENDPOINT_URL", ""),
        ("HOME", "."),
    ],
)
def test_usual_values_are_accepted(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(f"KARYO_{name}", value)
    assert Settings().is_configured


def test_urls_of_empty_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GOOD:
        monkeypatch.setenv(f"KARYO_{name}", "")
    with pytest.raises(ValidationError, match="KARYO_DATABASE_URL is empty"):
        Settings()


def test_settings_print_no_password(environment: pytest.MonkeyPatch) -> None:
    assert SECRET not in repr(Settings()) + str(Settings())


def test_a_missing_home_folder_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KARYO_HOME", raising=False)
    monkeypatch.setenv("HOME", "")
    with pytest.raises(ConfigurationError, match="set KARYO_HOME"):
        Settings().home_path  # noqa: B018
    with pytest.raises(ConfigurationError, match="set KARYO_HOME"):
        Settings(home=Path("~nobody-of-this-name/karyo")).home_path  # noqa: B018
