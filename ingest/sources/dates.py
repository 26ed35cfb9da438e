"""Dates and times as laboratories write them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

_TIME = r"(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?"
_DAY_FIRST = re.compile(r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})" + _TIME)
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})" + _TIME)
_UNKNOWN_ORDER = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](?:\d{2}|\d{4})(?:\D.*)?")
_YEARS = range(1900, 2200)  # outside of it a date is a slip of the pen


class DateError(ValueError):
    """A text that is no date: the reason of its rejection."""

    def __init__(self, reason: Literal["bad_date", "ambiguous_date"]) -> None:
        self.reason = reason
        super().__init__(reason)


def read_date(text: str) -> datetime:
    """Return the time that ``text`` says; without a zone it is of this process's (``TZ``).

    Args:
        text: ISO 8601 with or without a time and a zone, ``DD.MM.YYYY`` or ``YYYY/MM/DD``, the last two with or
            without ``HH:MM`` or ``HH:MM:SS``. Without a time it is midnight.

    Raises:
        DateError: ``bad_date``, or ``ambiguous_date`` where day and month could be exchanged.

    >>> read_date("2024-05-31T14:30:00+02:00").isoformat(), read_date("31.5.2024 14:30").minute
    ('2024-05-31T14:30:00+02:00', 30)
    """
    try:
        moment = _local(text) or datetime.fromisoformat(text)
        if moment.year not in _YEARS:
            raise DateError("bad_date")
        return moment if moment.tzinfo else moment.astimezone()
    except (ValueError, OverflowError) as error:
        order = _UNKNOWN_ORDER.fullmatch(text)
        ambiguous = order is not None and max(int(order[1]), int(order[2])) <= 12
        raise DateError("ambiguous_date" if ambiguous else "bad_date") from error


def _local(text: str) -> datetime | None:
    """Return the time of a text in one of the local notations; None if it is in none."""
    match = _DAY_FIRST.fullmatch(text) or _YEAR_FIRST.fullmatch(text)
    if match is None:
        return None
    hour, minute, second = (int(part or 0) for part in match.groups()[3:])
    return datetime(int(match["year"]), int(match["month"]), int(match["day"]), hour, minute, second)
