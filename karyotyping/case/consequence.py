"""Clinical consequence of a change between two results of one case.

Karyotypes of whole chromosomes are compared by their copies, line by line, and all others as text. The number of cells
in brackets is evidence and no part of a line. Normal lines are 46,XX and 46,XY. Two different normal lines in one case,
a chimera, are abnormal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from karyotyping.case.decision import Outcome
from karyotyping.nomenclature.cell_lines import parse_lines
from karyotyping.nomenclature.iscn import format_iscn

_CELLS = re.compile(r"\[[^\]]*\]")
_PREFIX = re.compile(r"^(mos|chi)\s+")
_SEX = re.compile(r"[XY]+c?|\?")
_WHOLE_CHROMOSOME = re.compile(r"[+-](?:\d{1,2}|X|Y)c?|idem|sdl?\d*|sl")
_NORMAL = frozenset({"46,XX", "46,XY"})
_MIN_CONFIDENCE_CHANGE = 0.005  # smaller changes of a confidence are rounding, 0..1


class Consequence(StrEnum):
    """What a change means for the patient, the gravest first."""

    BECAME_NORMAL = "abnormal -> normal"
    BECAME_ABNORMAL = "normal -> abnormal"
    SEX = "sex"
    CLONE_LOST = "clone lost"
    CLONE_GAINED = "clone gained"
    COUNT = "count"
    OTHER_KARYOTYPE = "other karyotype"
    CALL_LOST = "call lost"
    CALL_GAINED = "call gained"
    NO_CALL = "other reason without a call"
    CONFIDENCE = "only confidence"
    UNCHANGED = "unchanged"

    @property
    def is_contradiction(self) -> bool:
        """Whether both results are calls, and at most one of them is right."""
        return self not in _COMPATIBLE


_COMPATIBLE = frozenset(
    {
        Consequence.CALL_LOST,
        Consequence.CALL_GAINED,
        Consequence.NO_CALL,
        Consequence.CONFIDENCE,
        Consequence.UNCHANGED,
    }
)


@dataclass(frozen=True, slots=True)
class CaseCall:
    """The result of a case by one pipeline, or as it was signed."""

    outcome: Outcome
    iscn: str | None
    """Karyotype; None if the case has none."""
    voters: int | None = None
    """Cells that make the karyotype."""
    confidence: float | None = None
    """Share of the voters that agree exactly, or the posterior of the clones, 0..1."""

    @property
    def is_call(self) -> bool:
        """Whether the case has a karyotype that can be signed."""
        return self.outcome in (Outcome.NORMAL, Outcome.ABNORMAL)


def outcome_of(iscn: str | None, resolution: str | None = "resolved") -> Outcome:
    """Return the outcome of a result that names none, from its karyotype.

    Args:
        iscn: karyotype of the case; None if it has none.
        resolution: of the summary; a karyotype of one cell is no call.

    >>> [str(outcome_of(iscn)) for iscn in ("46,XY", "47,XX,+21[3]/46,XX[17]", None)]
    ['normal', 'abnormal', 'insufficient']
    >>> str(outcome_of("46,XX", "one_cell"))
    'insufficient'
    """
    if iscn is None or resolution != "resolved":
        return Outcome.INSUFFICIENT
    lines = lines_of(iscn)
    return Outcome.NORMAL if len(lines) == 1 and lines <= _NORMAL else Outcome.ABNORMAL


def lines_of(iscn: str) -> frozenset[str]:
    """Return the cell lines of a karyotype in one notation, without the numbers of cells.

    >>> sorted(lines_of("mos 47,XX,+8[3]/46,XX[17]"))
    ['46,XX', '47,XX,+8']
    >>> lines_of("47,XX,+8[5]/48,idem,+9[3]") == lines_of("47,XX,+8/48,XX,+8,+9")
    True
    """
    lines = _text_lines(iscn)
    if is_numerical(iscn):
        try:
            return frozenset(format_iscn(line.copies) for line in parse_lines("/".join(lines)))
        except ValueError:  # a constitutional change with a c, for example
            pass
    return frozenset(lines)


def is_numerical(iscn: str) -> bool:
    """Return whether a karyotype has gains and losses of whole chromosomes only.

    >>> is_numerical("48,XX,+8,+21c[3]/46,XX[17]"), is_numerical("46,XX,t(9;22)(q34;q11.2)")
    (True, False)
    """
    changes = [change for line in _text_lines(iscn) for change in line.split(",")[1:]]
    return all(_SEX.fullmatch(change) or _WHOLE_CHROMOSOME.fullmatch(change) for change in changes)


def _text_lines(iscn: str) -> list[str]:
    text = _PREFIX.sub("", _CELLS.sub("", iscn).strip())
    return ["".join(line.split()) for line in text.split("/")]


def consequence(before: CaseCall, after: CaseCall) -> Consequence:
    """Return the gravest consequence of the change from one result to another.

    Args:
        before: the earlier or the signed result.
        after: the later result of the same case.

    >>> trisomy, normal = (CaseCall(outcome_of(iscn), iscn) for iscn in ("47,XX,+21", "46,XX"))
    >>> str(consequence(trisomy, normal)), str(consequence(normal, normal))
    ('abnormal -> normal', 'unchanged')
    """
    if before.is_call and after.is_call:
        changed = _between_calls(before, after)
    elif before.is_call:
        changed = Consequence.CALL_LOST
    elif after.is_call:
        changed = Consequence.CALL_GAINED
    else:
        changed = None if (before.outcome, before.iscn) == (after.outcome, after.iscn) else Consequence.NO_CALL
    return changed or (Consequence.UNCHANGED if _same_confidence(before, after) else Consequence.CONFIDENCE)


def _between_calls(before: CaseCall, after: CaseCall) -> Consequence | None:
    """Return how two calls differ; None if they name the same lines."""
    if before.outcome != after.outcome:
        became_normal = after.outcome is Outcome.NORMAL
        return Consequence.BECAME_NORMAL if became_normal else Consequence.BECAME_ABNORMAL
    old, new = (lines_of(call.iscn or "") for call in (before, after))
    if old == new:
        return None
    if _without_sex(old) == _without_sex(new):
        return Consequence.SEX
    if len(old) != len(new):
        is_lost = len(new) < len(old) or bool(old - new - _NORMAL)
        return Consequence.CLONE_LOST if is_lost else Consequence.CLONE_GAINED
    return Consequence.COUNT if _counts(old) != _counts(new) else Consequence.OTHER_KARYOTYPE


def _without_sex(lines: frozenset[str]) -> list[tuple[str, ...]]:
    """Return the changes of the autosomes in every line, without the number."""
    fields = [line.split(",")[1:] for line in lines]
    return sorted(tuple(field for field in line if not _SEX.fullmatch(field)) for line in fields)


def _counts(lines: frozenset[str]) -> list[str]:
    return sorted(line.split(",")[0] for line in lines)


def _same_confidence(before: CaseCall, after: CaseCall) -> bool:
    old, new = before.confidence, after.confidence
    if old is None or new is None:
        return old is new and before.voters == after.voters
    return before.voters == after.voters and abs(old - new) < _MIN_CONFIDENCE_CHANGE
