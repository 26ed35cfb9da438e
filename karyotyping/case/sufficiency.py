"""Cells that a case lacks by the laboratory's policy, and mosaicism that it excludes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from karyotyping.case.cell import CellSummary
from karyotyping.case.cultures import count_colonies
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
    band_level: int | None
    """Level that as many counted cells reach as are karyotyped; None if it is known of fewer."""
    band_level_wanted: int
    """0 for none."""

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
        recorded = [cell for cell in counted if cell.colony is not None]
        requirements.append(Requirement("colonies", specimen.colonies, count_colonies(recorded) or None))
    level = _band_level(counted, max(1, specimen.karyotype))
    miscounted = min(0.9, (rates or ErrorRates()).hidden_gain() * judgement.error_level)
    return Sufficiency(
        policy=f"{policy.version}, {specimen.name}",
        requirements=tuple(requirements),
        why=_why(requirements, specimen, level, mosaic=mosaic),
        excluded_mosaicism=excluded_share(len(counted), policy.alpha, miscounted),
        alpha=policy.alpha,
        miscounted=miscounted,
        independent_cells=specimen.independent_cells,
        band_level=level,
        band_level_wanted=specimen.band_level,
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


def _band_level(cells: Sequence[CellSummary], needed: int) -> int | None:
    """Return the band level that ``needed`` cells reach; None if it is known of fewer."""
    levels = sorted((cell.band_level for cell in cells if cell.band_level is not None), reverse=True)
    return levels[needed - 1] if len(levels) >= needed else None


def _why(requirements: Sequence[Requirement], specimen: SpecimenPolicy, level: int | None, *, mosaic: bool) -> str:
    """Return what is missing and why, in sentences."""
    reason = "mosaicism is suspected or found" if mosaic else f"the policy for {specimen.name}"
    sentences = []
    for one in requirements:
        if one.found is None:
            sentences.append(f"The {one.name} of the cells are not recorded; {one.needed} are needed.")
        elif one.missing:
            noun = "" if one.name in ("cultures", "colonies") else " cells"
            sentences.append(f"{one.missing} more{noun} {one.name} of {one.needed}: {reason}.")
    reaches = (level or 0) >= specimen.band_level
    if not sentences and reaches:
        sentences.append(f"The policy for {specimen.name} is met.")
    elif not sentences:
        sentences.append(f"The case has the cells that the policy for {specimen.name} asks for.")
    if not reaches:
        sentences.append(_low_level(level, specimen.band_level))
    if not specimen.independent_cells:
        sentences.append("Cells of one culture are not independent, so less mosaicism is excluded than stated.")
    return " ".join(sentences)


def _low_level(level: int | None, wanted: int) -> str:
    if level is None:
        return f"The band level is unknown, {wanted} wanted."
    return f"Band level {level}, {wanted} wanted: small structural changes may be missed."
