"""Outcome of a case: normal, abnormal, suspected or insufficient, with clones and reason.

A karyotype is called only if every condition holds:

1. At least half of the images are called.
2. At least three complete cells, and a quarter of the called ones, fit their clone with at most three chromosomes
   lost, extra or misread, and with at most one if a clone is abnormal. Of these cells all but one, or three, show the
   copies of each chromosome, with a class that is certain. A complete cell has at least 41 chromosomes. At most three
   are expected to have a wrong class.
3. The most probable clones, or no abnormality at all, have the posterior that
   :class:`~karyotyping.case.rules.Rules` asks for; of several clones, each has it.
4. Every abnormality is clonal: the same gain in two cells, the same loss in three (ISCN 2024, 4.5.1).
5. A case of an abnormal and a normal clone has five complete cells that fit, and one of other clones has ten.
6. No other abnormality is likely, none in two cells or more is even possible, and none is seen in most of the cells.
   A normal case of fewer than ten cells that fit has none that departs by a possible recurrent abnormality alone; one
   of ten to 29 has none with a recurrent gain that is hardly less possible.
7. Where the specimen's clones count by colonies, condition 4 counts colonies. Where they count by cultures, a clone of
   several is not of a single culture (:mod:`karyotyping.case.cultures`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from karyotyping.case.cell import MIN_COMPLETE_COUNT, CellSummary
from karyotyping.case.changes import sex_of
from karyotyping.case.cultures import only_culture
from karyotyping.case.evidence import AbnormalityEvidence, CloneEvidence, Evidence
from karyotyping.case.mixture import weigh
from karyotyping.case.rates import ErrorRates
from karyotyping.case.rules import Rules
from karyotyping.case.wording import counted, percent
from karyotyping.nomenclature.classes import class_name

_MAX_NAMED = 3  # changes of a clone that a sentence names


class Outcome(StrEnum):
    """What the cells of a case allow to say."""

    NORMAL = "normal"
    ABNORMAL = "abnormal"
    SUSPECTED = "suspected"
    """An abnormality is likely or possible, and not certain enough to call."""
    INSUFFICIENT = "insufficient"
    """Too few cells, or cells that contradict each other."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome of a case with its evidence."""

    outcome: Outcome
    why: str
    """Reason of the outcome, a sentence."""
    clones: tuple[CloneEvidence, ...] = ()
    """Most probable clones with cells, abnormal ones first; also of a case that is not called."""
    posterior: float = 0.0
    """Probability of exactly these clones, 0..1."""
    abnormalities: tuple[AbnormalityEvidence, ...] = ()
    """Of the clones."""
    others: tuple[AbnormalityEvidence, ...] = ()
    """Departures of cells from their clone, the most probable abnormality first."""
    unexplained: tuple[int, ...] = ()
    """Analysis ids of called cells that no clone explains."""
    error_level: float = 1.0
    """Rates of lost chromosomes in the case relative to the measured ones."""

    @property
    def is_called(self) -> bool:
        """Whether the case has a karyotype that may be reported."""
        return self.outcome in (Outcome.NORMAL, Outcome.ABNORMAL)


def judge(cells: Sequence[CellSummary], rates: ErrorRates | None = None, rules: Rules | None = None) -> Judgement:
    """Return what the images of a case allow to say.

    Args:
        cells: every analysed image, in any order.
        rates: error rates of the pipeline; by default those of :class:`~karyotyping.case.rates.ErrorRates`.
        rules: conditions of a called karyotype.

    >>> normal = {**dict.fromkeys(range(1, 23), 2), 23: 2}
    >>> judge([CellSummary(n, normal, 46, 0.8) for n in range(5)]).outcome
    <Outcome.NORMAL: 'normal'>
    """
    rules = rules or Rules()
    called = sorted((cell for cell in cells if cell.called), key=lambda cell: cell.analysis_id)
    if not called:
        return Judgement(Outcome.INSUFFICIENT, _why_nothing_is_called(cells))
    evidence = Evidence(called, weigh(called, rates or ErrorRates()), rules)
    outcome, why = _decide(evidence, len(cells), rules)
    return Judgement(
        outcome,
        why,
        clones=evidence.clones,
        posterior=float(evidence.hypotheses.posterior[0]),
        abnormalities=evidence.abnormalities,
        others=evidence.others,
        unexplained=evidence.unexplained,
        error_level=evidence.hypotheses.level,
    )


def _decide(evidence: Evidence, images: int, rules: Rules) -> tuple[Outcome, str]:
    """Return the outcome of a case and why, by the rules of this module."""
    called = len(evidence.cells)
    suspicion = _suspicion(evidence, rules)
    abnormal = [clone for clone in evidence.lines if clone.changes]
    if objection := _objection(evidence, images, rules):
        if suspicion:
            return Outcome.SUSPECTED, f"{suspicion} {objection}"
        if abnormal:
            names = " / ".join(_name(clone) for clone in abnormal)
            return Outcome.SUSPECTED, f"{names}: probable. {objection}"
        return Outcome.INSUFFICIENT, objection
    if abnormal and not suspicion:
        names = ", ".join(str(one.change) for one in evidence.abnormalities)
        artefact = max(clone.artefact for clone in abnormal)
        return Outcome.ABNORMAL, f"{names}: clonal, with a probability of artefact of {percent(artefact)}."
    if suspicion:
        return Outcome.SUSPECTED, suspicion
    if evidence.normal_posterior < rules.min_posterior:
        probability = percent(evidence.normal_posterior)
        return (
            Outcome.INSUFFICIENT,
            f"A normal karyotype has a probability of {probability} in {counted(called, 'cell')}.",
        )
    sex = sex_of(evidence.hypotheses.best[0])
    fit = f"{evidence.fitting} of {counted(called, 'cell')} are complete and fit 46,{sex}"
    return Outcome.NORMAL, f"{fit}, and no numerical abnormality is probable."


def _objection(evidence: Evidence, images: int, rules: Rules) -> str | None:
    """Return a sentence why the cells allow no karyotype; None if they do."""
    called = len(evidence.cells)
    if not any(cell.votes for cell in evidence.cells):
        span = _span(evidence.cells)
        return f"No cell is complete: the counts are {span}, and {MIN_COMPLETE_COUNT} chromosomes are needed."
    if called < rules.min_cells:
        return f"{counted(called, 'cell')} called, and {rules.min_cells} are needed."
    if 2 * called < images:
        return f"Only {called} of {images} images are called."
    least = rules.min_cells
    if len(evidence.lines) > 1:
        abnormal = [clone for clone in evidence.lines if clone.changes]
        is_simple = len(abnormal) == 1 and len(evidence.lines) == 2
        least = rules.min_mosaic_cells if is_simple else rules.min_doubtful_cells
    needed = max(least, math.ceil(rules.min_share * called))
    if evidence.fitting < needed:
        fit = f"Of {counted(called, 'cell')}, {evidence.fitting} are complete with certain classes and fit a clone"
        return f"{fit} with at most {counted(evidence.max_errors, 'error')}, and {needed} are needed."
    if unconfirmed := evidence.unconfirmed:
        class_id, shown = unconfirmed
        name, complete = class_name(class_id), counted(evidence.fitting, "complete cell")
        return f"Chromosome {name} is as in its clone in {shown} of {complete}, and {rules.min_cells} are needed."
    return None


def _suspicion(evidence: Evidence, rules: Rules) -> str | None:
    """Return a sentence that names an uncertain abnormality; None without any."""
    sexes = {sex_of(np.array([clone.copies.get(k, 0) for k in range(1, 25)])) for clone in evidence.lines}
    if {"XX", "XY"} <= sexes:
        return "Cells are of both sexes: a mix-up or a chimera."
    threshold = rules.min_posterior if len(evidence.lines) == 1 else rules.min_mosaic_posterior
    complete = any(cell.votes for cell in evidence.cells)
    for clone in evidence.clones:
        if _is_hidden_normal(clone, evidence):
            return f"A normal clone in {counted(len(clone.cells), 'cell')} is probable, and none of them shows it."
        if len(clone.changes) > _MAX_NAMED and not complete:
            continue  # what incomplete cells lack together makes no clone
        of_several = clone.established and len(evidence.lines) > 1
        if (clone.changes or of_several) and (clone.posterior < threshold or not clone.established):
            return f"{_name(clone)} in {counted(len(clone.cells), 'cell')}: {percent(clone.artefact)} artefact."
        culture = only_culture(evidence.of(clone.cells)) if rules.clone_unit == "culture" else None
        if clone.changes and culture is not None and len(evidence.lines) > 1:
            return f"{_name(clone)} is in culture {culture} only, where it may have arisen."
    for one in evidence.abnormalities:
        if not one.clonal:
            needed = rules.cells_with_gain if one.change.is_gain else rules.cells_with_loss
            return (
                f"{one.change} in {_support(evidence, one.cells)} is not clonal: {needed} {_units(rules)} are needed."
            )
    named = {change for clone in evidence.lines for change in clone.changes}
    of_clones = {one.change: len(one.cells) for one in evidence.abnormalities}
    for one in evidence.others:
        if one.change in named and len(one.cells) < of_clones[one.change]:
            continue  # cells that may be of either clone
        if 1 - one.artefact >= _threshold(one, len(evidence.cells), rules):
            return f"{one.change} in {counted(len(one.cells), 'cell')}: {percent(one.artefact)} artefact."
    return None if named else _reason_to_count_more(evidence, rules)


def _reason_to_count_more(evidence: Evidence, rules: Rules) -> str | None:
    """Return a sentence on a recurrent abnormality of one cell in a normal case; None if none."""
    if evidence.fitting < rules.min_doubtful_cells:
        change, needed = evidence.recurrent(rules.possible, alone=True), rules.min_doubtful_cells
        seen = "all that departs"
    else:
        change, needed = evidence.recurrent(rules.possible_single_gain, gain=True), rules.min_cells_with_single_gain
        seen = "seen"
    if change is None or evidence.fitting >= needed:
        return None
    return f"{change} is {seen} in a cell, and {needed} cells that fit are needed."


def _is_hidden_normal(clone: CloneEvidence, evidence: Evidence) -> bool:
    """Return whether a normal clone has complete cells, and none shows its copies."""
    if clone.changes or clone.established or len(clone.cells) < 2:
        return False
    return any(cell.votes for cell in evidence.of(clone.cells))


def _threshold(one: AbnormalityEvidence, called: int, rules: Rules) -> float:
    """Return the probability above which an abnormality makes a case suspected."""
    cells = len(one.cells)
    if cells > 1 and 2 * cells > called:
        return 0.0  # what most cells show is not called away, however often it is misread
    return rules.possible if cells > 1 else rules.likely  # an error may hide a further cell of a clone


def _support(evidence: Evidence, cells: Sequence[int]) -> str:
    found = counted(len(cells), "cell")
    if evidence.rules.clone_unit != "colony":
        return found
    return f"{found} of {counted(evidence.support(cells), 'colony', 'colonies')}"


def _units(rules: Rules) -> str:
    return "colonies" if rules.clone_unit == "colony" else "cells"


def _name(clone: CloneEvidence) -> str:
    if not clone.changes:
        return "A normal clone"
    if len(clone.changes) > _MAX_NAMED:
        return f"A clone of {sum(clone.copies.values())} chromosomes"
    return " ".join(str(change) for change in clone.changes)


def _why_nothing_is_called(cells: Sequence[CellSummary]) -> str:
    if not cells:
        return "No image of the case has a result."
    return f"No image is a metaphase of one cell: the counts are {_span(cells)}."


def _span(cells: Sequence[CellSummary]) -> str:
    counts = sorted(cell.chromosome_count for cell in cells)
    return str(counts[0]) if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
