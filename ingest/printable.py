"""Text from outside as a database, a report and a terminal can show it."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def is_printable(text: str) -> bool:
    r"""Return whether a database, a report and a terminal can show ``text`` unchanged.

    >>> is_printable("ä.tif"), is_printable("a\nb.tif")
    (True, False)
    """
    return _UNPRINTABLE.search(text) is None


def printable(text: str) -> str:
    r"""Return ``text`` with every unprintable character escaped.

    >>> print(printable("a\nb"))
    a\nb
    """
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
