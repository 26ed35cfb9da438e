"""Dates in the notations of laboratories."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ingest.sources.dates import DateError, read_date


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The zone of this process is that of Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-31", "2024-05-31T00:00:00+02:00"),
        ("2024-01-31 14:30", "2024-01-31T14:30:00+01:00"),
        ("2024-05-31T14:30:00Z", "2024-05-31T14:30:00+00:00"),
        ("2024-05-31T14:30:00-05:00", "2024-05-31T14:30:00-05:00"),
        ("31.05.2024", "2024-05-31T00:00:00+02:00"),
        ("1.2.2024 9:05", "2024-02-01T09:05:00+01:00"),
        ("31.05.2024 14:30:59", "2024-05-31T14:30:59+02:00"),
        ("2024/05/31", "2024-05-31T00:00:00+02:00"),
        ("2024/5/1 14:30", "2024-05-01T14:30:00+02:00"),
    ],
)
def test_a_date_without_a_zone_is_of_the_zone_of_the_process(text: str, moment: str) -> None:
    assert read_date(text).isoformat() == moment


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("01/02/2024", "ambiguous_date"),
        ("1-2-2024", "ambiguous_date"),
        ("1/2/24 14:30", "ambiguous_date"),
        ("31/05/2024", "bad_date"),
        ("31.02.2024", "bad_date"),
        ("01.02.24", "bad_date"),
        ("24:00", "bad_date"),
        ("45321", "bad_date"),
        ("yesterday", "bad_date"),
        ("0001-01-01", "bad_date"),
        ("9999-12-31", "bad_date"),
    ],
)
def test_what_is_no_date_is_named(text: str, reason: str) -> None:
    with pytest.raises(DateError) as caught:
        read_date(text)
    assert caught.value.reason == reason
