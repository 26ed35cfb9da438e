"""Cells of a case to count and to karyotype, best first, each with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from karyotyping.case.cell import CellSummary
from karyotyping.case.policy import SpecimenPolicy
from karyotyping.case.wording import counted


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen cell."""

    analysis_id: int
    reason: str
    """What speaks for and against it, a sentence."""


def rank(cells: Iterable[CellSummary]) -> list[CellSummary]:
    """Return ``cells`` by expected edits, the fewest first.

    Cells without a karyotype come last. Cells without a prediction, of an earlier version, are ranked by their quality
    after the others.
    """

    def order(cell: CellSummary) -> tuple[bool, bool, float, float, int]:
        edits = cell.expected_edits
        return not cell.called, edits is None, edits or 0.0, -cell.quality_score, cell.analysis_id

    return sorted(cells, key=order)


def choose_to_count(ranked: Sequence[CellSummary], specimen: SpecimenPolicy) -> tuple[Choice, ...]:
    """Return the best cells, as many as the policy counts.

    In situ the first cell of each colony comes before the second of any.
    """
    called = [cell for cell in ranked if cell.called]
    if specimen.colonies:
        called = _one_a_colony_first(called)
    return tuple(Choice(cell.analysis_id, reason(cell)) for cell in called[: specimen.count])


def choose_to_karyotype(ranked: Sequence[CellSummary], specimen: SpecimenPolicy) -> tuple[Choice, ...]:
    """Return the best complete cells, as many as the policy analyses.

    Those that reach its band level come first.
    """
    complete = [cell for cell in ranked if cell.votes]
    complete.sort(key=lambda cell: (cell.band_level or 0) < specimen.band_level)
    return tuple(Choice(cell.analysis_id, reason(cell)) for cell in complete[: specimen.analyse])


def reason(cell: CellSummary) -> str:
    """Return what speaks for and against a cell.

    >>> reason(CellSummary(1, {1: 45}, 46, 0.8, band_level=430, outline_edits=0.62, class_edits=1.31))
    '46 chromosomes, 1 without a class; expected to correct: 0.6 outlines, 1.3 classes; band level 430.'
    """
    unnamed = f"{cell.unidentified} without a class" if cell.unidentified else "all with a class"
    parts = [f"{counted(cell.chromosome_count, 'chromosome')}, {unnamed}"]
    if cell.outline_edits is None or cell.class_edits is None:
        parts.append(f"quality {cell.quality_score:.2f}")
    else:
        parts.append(f"expected to correct: {cell.outline_edits:.1f} outlines, {cell.class_edits:.1f} classes")
    if cell.band_level is not None:
        parts.append(f"band level {cell.band_level}")
    return "; ".join(parts) + "."


def _one_a_colony_first(ranked: Sequence[CellSummary]) -> list[CellSummary]:
    """Return ``ranked``, the first cell of each colony before all others."""
    seen: set[tuple[str | None, str]] = set()
    first: list[CellSummary] = []
    further: list[CellSummary] = []
    for cell in ranked:
        colony = None if cell.colony is None else (cell.culture, cell.colony)
        (further if colony in seen else first).append(cell)
        if colony is not None:
            seen.add(colony)
    return first + further
