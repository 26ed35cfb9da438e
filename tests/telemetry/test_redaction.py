"""Secrets of addresses are masked, and nothing else is."""

from __future__ import annotations

import logging

import pytest

from telemetry import redaction
from telemetry.logs import formatter
from telemetry.redaction import hide_secret, redact, redact_values

SECRET = "hunter2-TopSecret"


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_secrets", set())
    monkeypatch.setattr(redaction, "_any_secret", None)


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql+psycopg://karyo:{SECRET}@db:5432/karyo",
        f"redis://:{SECRET}@broker:6379/0",
        f"redis://:{SECRET}/with/slashes@broker:6379/0",
        f"postgresql://karyo:{SECRET}@twice@db/karyo",
        f"postgresql://karyo:x/{SECRET}?#@db/karyo",
        f"redis://:123/{SECRET}@broker",
        f"https://{SECRET}:key@host/bucket?X-Amz-Signature={SECRET}",
        f"https://host/bucket/key?list-type=2&token={SECRET}",
        f"s3://bucket/prefix?{SECRET}",
    ],
)
@pytest.mark.parametrize("sentence", ["{}", 'cannot reach "{}" now', "({}): refused", "url={}\nnext line"])
def test_users_and_queries_of_addresses_are_masked(address: str, sentence: str) -> None:
    assert SECRET not in redact(sentence.format(address))


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:9000/bucket/me@home/cell.tif",
        "write postgresql://user:password@host:5432/database",
        "s3://bucket/Fall 12@3/a.png",
        "46,XX at a@b.org: 12 of 46?",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert redact(text) == text


def test_hidden_secrets_are_masked_as_whole_words_in_each_spelling() -> None:
    hide_secret("p@ss/word")
    hide_secret("abc")  # too short: it may be a part of a word
    hide_secret("karyo")  # well known
    assert redact("FATAL: p@ss/word, p%40ss%2Fword and xp@ss/word") == "FATAL: ***, *** and xp@ss/word"
    assert redact("abc karyo db upgrade") == "abc karyo db upgrade"


def test_values_of_json_are_masked_and_keep_their_types() -> None:
    hide_secret(SECRET)
    value = {"errors": [{"sentence": f"redis://:{SECRET}@h", "n": 3}], "pair": (1, None, SECRET)}
    assert redact_values(value) == {"errors": [{"sentence": "redis://***@h", "n": 3}], "pair": [1, None, "***"]}


@pytest.mark.parametrize("style", ["json", "text"])
def test_log_lines_and_their_tracebacks_are_masked(style: str) -> None:
    hide_secret(SECRET)
    try:
        raise RuntimeError(f'cannot reach "redis://:{SECRET}@h/0?{SECRET}"')
    except RuntimeError as error:
        record = logging.LogRecord("worker", logging.ERROR, "", 0, f"with {SECRET}", (), (RuntimeError, error, None))
    line = formatter("json" if style == "json" else "text").format(record)
    assert SECRET not in line
    assert "RuntimeError" in line
