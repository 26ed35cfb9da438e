"""Cells of a table, whichever way it was saved, and the spelling of its columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MAX_TABLE_BYTES = 256 * 2**20  # 256 MiB, of a table as it is stored and, of a workbook, unpacked
_BETWEEN_WORDS = re.compile(r"[\s_-]+")


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one row, and by number the reasons of those that cannot be used."""

    line: int
    texts: Sequence[str]
    problems: Mapping[int, tuple[str, Mapping[str, object]]] = field(default_factory=dict)

    @property
    def is_blank(self) -> bool:
        """Whether no cell holds anything."""
        return not self.problems and not any(text.strip() for text in self.texts)


def column_key(name: str) -> str:
    """Return what two spellings of one column have in common.

    >>> column_key(" Captured At ") == column_key("captured_at")
    True
    """
    return _BETWEEN_WORDS.sub("", unicodedata.normalize("NFKC", name).casefold())
