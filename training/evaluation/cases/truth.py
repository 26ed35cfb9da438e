"""What a laboratory signed for its cases: karyotypes in ISCN, or an outcome alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from karyotyping.nomenclature.cell_lines import CellLine, parse_lines
from karyotyping.nomenclature.iscn import parse_iscn

COLUMNS = ("case", "iscn", "karyotype", "outcome", "path", "image_karyotype")
"""Columns of a truth; ``karyotype`` is another name of ``iscn``."""
_STRUCTURAL = re.compile(
    r"[+-]?\??\d?(?:"
    r"(?:add|del|der|dic|dir|dup|fis|fra|hsr|i|ider|idic|ins|inv|neo|qdp|r|rea|rec|rob|t|tas|trc|trp|upd)\d?(?:\(|$)"
    r"|mar|dmin|ace|(?:\d{1,2}|X|Y)(?:[pqc](?:h|s|stk|ps)))"
)  # symbols of ISCN 2024, chapter 3
_NUMBER = re.compile(r"\d{1,3}(?:[~<,]|$)")
_CELLS = re.compile(r"\[[^\]]*\]$")


class TruthKind(StrEnum):
    """What a signed karyotype is."""

    NORMAL = "normal"
    ABNORMAL = "abnormal"
    STRUCTURAL = "not looked at"
    """It has a structural abnormality, which copies of whole chromosomes do not show."""


Copies = frozenset[tuple[int, int]]
"""Class id and number of copies, without absent classes."""


@dataclass(frozen=True, slots=True)
class CaseTruth:
    """What a laboratory signed for one case."""

    case: str
    text: str
    """Karyotype or outcome, as written."""
    kind: TruthKind
    lines: frozenset[Copies] = frozenset()
    """Cell lines; empty without a readable karyotype of whole chromosomes."""
    images: Mapping[str, Copies] = field(default_factory=dict)
    """Copies in single images by path, where they are known."""

    def of_image(self, path: str) -> Copies | None:
        """Return the copies that an image has: its own, or those of the only line; None if unknown."""
        only = next(iter(self.lines)) if len(self.lines) == 1 else None
        return self.images.get(path, only)


class LeftOut(NamedTuple):
    """A case without a figure, and why: a sentence."""

    case: str
    why: str


def as_copies(counts: Mapping[int, int]) -> Copies:
    """Return copies by class id as a value that can be compared."""
    return frozenset((class_id, number) for class_id, number in counts.items() if number)


def read_truths(rows: Iterable[Mapping[str, str]]) -> tuple[dict[str, CaseTruth], list[LeftOut]]:
    """Return the truth of every readable case by accession number, and the other cases.

    Args:
        rows: texts by column of :data:`COLUMNS`; a case may have a row for each image.
    """
    by_case: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        by_case.setdefault(row["case"], []).append(row)
    truths: dict[str, CaseTruth] = {}
    left_out: list[LeftOut] = []
    for case, own in by_case.items():
        try:
            truths[case] = _read_case(case, own)
        except ValueError as problem:
            left_out.append(LeftOut(case, str(problem)))
    return truths, left_out


def _read_case(case: str, rows: Iterable[Mapping[str, str]]) -> CaseTruth:
    rows = list(rows)
    text = _only("karyotype", [row.get("iscn", "").strip() or row.get("karyotype", "") for row in rows])
    outcome = _only("outcome", [row.get("outcome", "") for row in rows]).casefold()
    if outcome not in ("", "normal", "abnormal"):
        raise ValueError(f"The outcome {outcome!r} is neither normal nor abnormal.")
    if not text and not outcome:
        raise ValueError("The truth has neither a karyotype nor an outcome.")
    if not text:
        return CaseTruth(case, outcome, TruthKind(outcome))
    if is_structural(text):
        return CaseTruth(case, text, TruthKind.STRUCTURAL)
    if re.search(r"\binc\b", text):
        raise ValueError(f"{text!r} is incomplete (inc).")
    lines = parse_lines(text)
    kind = kind_of(lines)
    if outcome and outcome != kind:
        raise ValueError(f"The outcome {outcome!r} contradicts {text!r}.")
    images = {
        row["path"].strip(): as_copies(parse_iscn(own)) for row in rows if (own := row.get("image_karyotype", ""))
    }
    return CaseTruth(case, text, kind, frozenset(as_copies(line.copies) for line in lines), images)


def kind_of(lines: Iterable[CellLine]) -> TruthKind:
    """Return whether a karyotype is normal: a single line that is 46,XX or 46,XY.

    >>> kind_of(parse_lines("mos 45,X[3]/46,XX[17]"))
    <TruthKind.ABNORMAL: 'abnormal'>
    """
    lines = list(lines)
    is_single = len({as_copies(line.copies) for line in lines}) == 1
    return TruthKind.NORMAL if is_single and lines[0].is_normal else TruthKind.ABNORMAL


def is_structural(text: str) -> bool:
    """Return whether a karyotype has a structural abnormality, marker or heteromorphism.

    >>> [is_structural(text) for text in ("46,XX,t(9;22)(q34;q11.2)[20]", "47,XY,+mar", "46,XX,9qh+", "47,XX,+21")]
    [True, True, True, False]
    """
    if _NUMBER.match(text.removeprefix("mos ").removeprefix("chi ")) is None:
        return False
    parts = [part for line in text.split("/") for part in _CELLS.sub("", line.strip()).split(",")]
    return any(_STRUCTURAL.match(part.strip()) for part in parts)


def _only(what: str, texts: Iterable[str]) -> str:
    """Return the text that all rows of a case share."""
    distinct = {" ".join(text.split()) for text in texts}
    if len(distinct) > 1:
        raise ValueError(f"The rows of the case give more than one {what}: {', '.join(map(repr, sorted(distinct)))}.")
    return distinct.pop()
