"""Files by names that somebody else wrote: in another Unicode normal form or case."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

_ABSOLUTE_ON_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")


class Spellings:
    """Names, each found by all its spellings."""

    def __init__(self, names: Iterable[str]) -> None:
        """Sort the names by what their spellings have in common."""
        self._by_form: dict[str, list[str]] = {}
        self._by_case: dict[str, list[str]] = {}
        for name in names:
            form = unicodedata.normalize("NFC", name)
            self._by_form.setdefault(form, []).append(name)
            self._by_case.setdefault(form.casefold(), []).append(name)

    def find(self, name: str) -> Sequence[str]:
        r"""Return the names that ``name`` can mean: itself, else in another normal form or case.

        >>> Spellings(["Mu\u0308ller.png", "A.PNG"]).find("M\u00fcller.png") == ["Mu\u0308ller.png"]
        True
        >>> Spellings(["a.PNG", "A.PNG"]).find("a.png")
        ['a.PNG', 'A.PNG']
        """
        form = unicodedata.normalize("NFC", name)
        names = self._by_form.get(form) or self._by_case.get(form.casefold(), [])
        return [name] if name in names else names


class FolderSpellings:
    """Files below a folder, each found by all spellings of its path."""

    def __init__(self, root: Path) -> None:
        """Name the folder, whose sub-folders are listed when a path is not found as it is spelt."""
        self._root = root
        self._listings: dict[str, Spellings] = {}

    def find(self, name: str) -> Sequence[str]:
        """Return the paths that ``name`` without a part ``..`` can mean; see :meth:`Spellings.find`."""
        if os.path.lexists(self._root / name):
            return [name]
        path = ""
        for part in PurePosixPath(name).parts:
            names = self._listing(path).find(part)
            if len(names) != 1:
                return [path + name for name in names]
            path += f"{names[0]}/"
        return [path.rstrip("/")] if path else []

    def _listing(self, folder: str) -> Spellings:
        if folder not in self._listings:
            try:
                names = [path.name for path in (self._root / folder).iterdir()]
            except OSError:
                names = []
            self._listings[folder] = Spellings(names)
        return self._listings[folder]


def is_absolute_elsewhere(name: str) -> bool:
    r"""Return whether ``name`` is an absolute path of Windows.

    >>> is_absolute_elsewhere("C:\\cells\\a.tif"), is_absolute_elsewhere("cells\\a.tif")
    (True, False)
    """
    return _ABSOLUTE_ON_WINDOWS.match(name) is not None
