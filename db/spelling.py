"""Spelling of accession numbers and other labels.

Without SQLAlchemy, which `karyo analyse` does not import.
"""

from __future__ import annotations

import re
import unicodedata

_WHITE_SPACE = re.compile(r"\s+")


def normalise(text: str) -> str:
    r"""Return ``text`` in NFC, trimmed, with one blank for white space within.

    >>> normalise(" Mu\u0308ller  7 ") == "M\u00fcller 7"
    True
    """
    return _WHITE_SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip()


def is_storable(text: str) -> bool:
    r"""Return whether PostgreSQL can hold ``text``: it has no NUL and no part of a character.

    >>> is_storable("24-7"), is_storable("24\x007"), is_storable("\udce9")
    (True, False, False)
    """
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
