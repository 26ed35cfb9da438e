"""The evidence of a case as JSON, and its karyotype as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from karyotyping.case.decision import Judgement
from karyotyping.case.evidence import AbnormalityEvidence, CloneEvidence
from karyotyping.case.sufficiency import Sufficiency
from karyotyping.nomenclature.cell_lines import CellLine, Specimen, format_lines

NOT_EXAMINED = ("structural abnormalities", "submicroscopic changes", "uniparental disomy")
"""What copies of whole chromosomes do not show."""


class CloneEvidenceDocument(TypedDict):
    """A ``CloneEvidence`` as JSON; cells are analysis ids."""

    iscn: str
    changes: list[str]
    cells: list[int]
    exact: list[int]
    posterior: float
    artefact: float
    established: bool


class AbnormalityDocument(TypedDict):
    """An ``AbnormalityEvidence`` as JSON; cells are analysis ids."""

    change: str
    cells: list[int]
    clonal: bool
    artefact: float


class RequirementDocument(TypedDict):
    """A ``Requirement`` as JSON."""

    name: str
    needed: int
    found: int | None
    missing: int


class SufficiencyDocument(TypedDict):
    """A ``Sufficiency`` as JSON."""

    policy: str
    met: bool
    why: str
    requirements: list[RequirementDocument]
    excluded_mosaicism: float | None
    alpha: float
    miscounted: float
    independent_cells: bool
    band_level: int | None
    band_level_wanted: int


class EvidenceDocument(TypedDict):
    """Outcome of a case with its evidence."""

    outcome: str
    karyotype: str | None
    """The established clones with their cells, also of a case that is not called; None without any."""
    posterior: float
    error_level: float
    clones: list[CloneEvidenceDocument]
    abnormalities: list[AbnormalityDocument]
    non_clonal: list[AbnormalityDocument]
    unexplained: list[int]
    not_examined: list[str]
    sufficiency: SufficiencyDocument


def karyotype_of(judgement: Judgement, specimen: Specimen) -> str | None:
    """Return the established clones of a case in ISCN; None without any."""
    lines = [CellLine(clone.copies, len(clone.cells)) for clone in judgement.clones if clone.established]
    return format_lines(lines, specimen) if lines else None


def evidence_document(judgement: Judgement, sufficiency: Sufficiency, specimen: Specimen) -> EvidenceDocument:
    """Return the outcome of a case with its evidence as JSON."""
    return {
        "outcome": judgement.outcome.value,
        "karyotype": karyotype_of(judgement, specimen),
        "posterior": round(judgement.posterior, 6),
        "error_level": round(judgement.error_level, 4),
        "clones": [_clone(clone, specimen) for clone in judgement.clones],
        "abnormalities": _abnormalities(judgement.abnormalities),
        "non_clonal": _abnormalities(judgement.others),
        "unexplained": list(judgement.unexplained),
        "not_examined": list(NOT_EXAMINED),
        "sufficiency": _sufficiency(sufficiency),
    }


def _clone(clone: CloneEvidence, specimen: Specimen) -> CloneEvidenceDocument:
    return {
        "iscn": format_lines([CellLine(clone.copies, len(clone.cells))], specimen),
        "changes": [str(change) for change in clone.changes],
        "cells": list(clone.cells),
        "exact": list(clone.exact),
        "posterior": round(clone.posterior, 6),
        "artefact": round(clone.artefact, 6),
        "established": clone.established,
    }


def _abnormalities(found: Iterable[AbnormalityEvidence]) -> list[AbnormalityDocument]:
    return [
        {
            "change": str(one.change),
            "cells": list(one.cells),
            "clonal": one.clonal,
            "artefact": round(one.artefact, 6),
        }
        for one in found
    ]


def _sufficiency(found: Sufficiency) -> SufficiencyDocument:
    return {
        "policy": found.policy,
        "met": found.is_met,
        "why": found.why,
        "requirements": [
            {"name": one.name, "needed": one.needed, "found": one.found, "missing": one.missing}
            for one in found.requirements
        ],
        "excluded_mosaicism": None if found.excluded_mosaicism is None else round(found.excluded_mosaicism, 4),
        "alpha": found.alpha,
        "miscounted": round(found.miscounted, 4),
        "independent_cells": found.independent_cells,
        "band_level": found.band_level,
        "band_level_wanted": found.band_level_wanted,
    }
