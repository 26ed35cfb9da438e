"""Cells that a case lacks by the laboratory's policy, and mosaicism that it excludes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from karyotyping.case.cell import CellSummary
from karyotyping.case.decision import Judgement, Outcome
from karyotyping.case.policy import Policy, SpecimenPolicy
from karyotyping.case.rates import ErrorRates


@dataclass(frozen=True, slots=True)
class Requirement:
    """One number that a policy asks for."""

    name: str
    """``counted``, ``analysed``, ``karyotyped``, ``cultures`` or ``colonies``."""
    needed: int
    found: int | None
    """None if the images do not record it."""

    @property
    def missing(self) -> int:
        """How many more are needed."""
        return max(0, self.needed - (self.found or 0))


@dataclass(frozen=True, slots=True)
class Sufficiency:
    """What of a policy a case meets."""

    policy: str
    """Version of the policy and name of the specimen."""
    requirements: tuple[Requirement, ...]
    why: str
    """What is missing and why, in sentences."""
    excluded_mosaicism: float | None
    """Smallest share of abnormal cells that the counted cells exclude, 0..1; None if they exclude none."""
    alpha: float
    """Probability of missing such a mosaicism, 0..1."""
    miscounted: float
    """Probability that an abnormal cell does not show its abnormality, 0..1; part of ``excluded_mosaicism``."""
    independent_cells: bool

    @property
    def is_met(self) -> bool:
        """Whether nothing is missing."""
        return not any(one.missing for one in self.requirements)


def assess(
    cells: Sequence[CellSummary],
    judgement: Judgement,
    policy: Policy,
    tissue: str | None = None,
    rates: ErrorRates | None = None,
) -> Sufficiency:
    """Return what a case lacks.

    Args:
        cells: every analysed image.
        judgement: of these cells.
        policy: of the laboratory.
        tissue: label of the case.
        rates: error rates of the pipeline.
    """
    specimen = policy.of(tissue)
    explained = {cell for clone in judgement.clones for cell in clone.cells}
    counted = [cell for cell in cells if cell.analysis_id in explained]
    analysed = [cell for cell in counted if not cell.unidentified]
    karyotyped = [cell for cell in analysed if cell.quality_score >= policy.min_karyotype_quality]
    mosaic = judgement.outcome == Outcome.SUSPECTED or sum(clone.established for clone in judgement.clones) > 1
    requirements = [
        Requirement("counted", specimen.suspected_mosaicism if mosaic else specimen.count, len(counted)),
        Requirement("analysed", specimen.analyse, len(analysed)),
        Requirement("karyotyped", specimen.karyotype, len(karyotyped)),
    ]
    if specimen.cultures > 1:
        requirements.append(Requirement("cultures", specimen.cultures, _distinct(cell.culture for cell in counted)))
    if specimen.colonies:
        requirements.append(Requirement("colonies", specimen.colonies, _distinct(cell.colony for cell in counted)))
    miscounted = min(0.9, (rates or ErrorRates()).hidden_gain() * judgement.error_level)
    return Sufficiency(
        policy=f"{policy.version}, {specimen.name}",
        requirements=tuple(requirements),
        why=_why(requirements, specimen, mosaic=mosaic),
        excluded_mosaicism=excluded_share(len(counted), policy.alpha, miscounted),
        alpha=policy.alpha,
        miscounted=miscounted,
        independent_cells=specimen.independent_cells,
    )


def excluded_share(cells: int, alpha: float = 0.05, miscounted: float = 0.0) -> float | None:
    """Return the smallest share of abnormal cells that normal ``cells`` exclude.

    It is the smallest p with (1 - p (1 - miscounted)) ** cells <= alpha (Hook 1977, Am J Hum Genet 29:94-97).

    Args:
        cells: counted cells, independent of each other.
        alpha: probability of missing a mosaicism of this share, 0..1.
        miscounted: probability that an abnormal cell does not show its abnormality, 0..1.

    Returns:
        0..1; None if not even a pure abnormal case is excluded.

    >>> round(excluded_share(29), 2), round(excluded_share(20), 2)
    (0.1, 0.14)
    """
    if not cells:
        return None
    share = (1 - alpha ** (1 / cells)) / (1 - miscounted)
    return share if share <= 1 else None


def _distinct(values: Iterable[str | None]) -> int | None:
    """Return how many different values are recorded; None without any."""
    return len(set(values) - {None}) or None


def _why(requirements: Sequence[Requirement], specimen: SpecimenPolicy, *, mosaic: bool) -> str:
    """Return what is missing and why, in sentences."""
    reason = "mosaicism is suspected or found" if mosaic else f"the policy for {specimen.name}"
    sentences = []
    for one in requirements:
        if one.found is None:
            sentences.append(f"The {one.name} of the cells are not recorded; {one.needed} are needed.")
        elif one.missing:
            noun = "" if one.name in ("cultures", "colonies") else " cells"
            sentences.append(f"{one.missing} more{noun} {one.name} of {one.needed}: {reason}.")
    if not sentences:
        sentences.append(f"The policy for {specimen.name} is met.")
    if not specimen.independent_cells:
        sentences.append("Cells of one culture are not independent, so less mosaicism is excluded than stated.")
    return " ".join(sentences)
