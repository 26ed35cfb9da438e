"""Outcome of a case: normal, abnormal, suspected or insufficient, with clones and reason.

A karyotype is called only if every condition holds:

1. At least half of the images are called.
2. At least three complete cells, and a quarter of the called ones, fit their clone with at most one chromosome lost,
   extra or misread. A complete cell has at least 41 chromosomes.
3. The most probable clones, or no abnormality at all, have the posterior that
   :class:`~karyotyping.case.rules.Rules` asks for.
4. Every abnormality is clonal: the same gain in two cells, the same loss in three (ISCN 2024, 4.5.1).
5. A case of several clones has ten cells that fit with at most one error.
6. No other abnormality is likely, none that is clonal by its number of cells is even possible, and none is seen in
   most of the cells.
7. Where the specimen's clones count by colonies, condition 4 counts colonies. Where they count by cultures, a clone of
   several is not of a single culture (:mod:`karyotyping.case.cultures`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from karyotyping.arrays import Ints
from karyotyping.case.cell import MIN_COMPLETE_COUNT, CellSummary
from karyotyping.case.changes import Change, changes_of, reference_sex, sex_of
from karyotyping.case.cultures import count_colonies, only_culture
from karyotyping.case.likelihood import copies_found
from karyotyping.case.mixture import Hypotheses, weigh
from karyotyping.case.rates import ErrorRates
from karyotyping.case.rules import Rules
from karyotyping.case.wording import counted, percent
from karyotyping.nomenclature.classes import CLASS_COUNT

_MAX_NAMED = 3  # changes of a clone that a sentence names
_MAX_OTHERS = 12  # further departures that are listed


class Outcome(StrEnum):
    """What the cells of a case allow to say."""

    NORMAL = "normal"
    ABNORMAL = "abnormal"
    SUSPECTED = "suspected"
    """An abnormality is likely or possible, and not certain enough to call."""
    INSUFFICIENT = "insufficient"
    """Too few cells, or cells that contradict each other."""


@dataclass(frozen=True, slots=True)
class AbnormalityEvidence:
    """A gain or loss, and the cells that show it."""

    change: Change
    cells: tuple[int, ...]
    """Analysis ids."""
    artefact: float
    """Probability that lost, misread and extra chromosomes alone explain these cells, 0..1."""
    clonal: bool
    """Whether the cells are as many as make a clone."""


@dataclass(frozen=True, slots=True)
class CloneEvidence:
    """A clone of a case."""

    copies: Mapping[int, int]
    """By class id, without absent classes."""
    changes: tuple[Change, ...]
    """Empty for a normal clone."""
    cells: tuple[int, ...]
    """Analysis ids of the cells that are assigned to it."""
    exact: tuple[int, ...]
    """Those of them that show exactly its copies."""
    posterior: float
    """Probability that the case has this clone, 0..1."""
    established: bool
    """Whether it is in the karyotype: alone, or of several cells of which one shows exactly its copies."""

    @property
    def artefact(self) -> float:
        """Probability that the clone is made of lost, misread and extra chromosomes, 0..1."""
        return 1.0 - self.posterior


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
    """Error rates of the case relative to the measured ones."""

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
    evidence = _Evidence(called, weigh(called, rates or ErrorRates()), rules)
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


class _Evidence:
    """The clones, abnormalities and cells of the most probable hypothesis."""

    def __init__(self, cells: Sequence[CellSummary], hypotheses: Hypotheses, rules: Rules) -> None:
        self.cells = cells
        self.hypotheses = hypotheses
        self.rules = rules
        self._found = [copies_found(cell) for cell in cells]
        self._chosen = hypotheses.responsibilities.argmax(axis=1)
        best = hypotheses.best
        used = [copies for k, copies in enumerate(best) if (self._chosen == k).any()]
        self.sex = reference_sex(used or best)
        self._best_changes = [changes_of(copies, self.sex) for copies in best]
        self._probability = self._probabilities()
        clones = [self._clone(k, alone=len(used) == 1) for k in range(len(best))]
        self.clones = tuple(
            sorted((one for one in clones if one.cells), key=lambda one: (not one.changes, -len(one.cells)))
        )
        self.unexplained = tuple(
            cell.analysis_id for cell, k in zip(cells, self._chosen, strict=True) if k == len(best)
        )
        changes = dict.fromkeys(change for clone in self.clones for change in clone.changes)
        self.abnormalities = tuple(self._abnormality(change, self._cells_with(change)) for change in changes)
        self.others = self._others()

    @property
    def normal_posterior(self) -> float:
        """Probability that a single normal clone explains the case."""
        return float(
            sum(
                weight
                for members, weight in zip(self.hypotheses.members, self.hypotheses.posterior, strict=True)
                if len(members) == 1 and not changes_of(self.hypotheses.clones[members[0]], self.sex)
            )
        )

    @property
    def lines(self) -> list[CloneEvidence]:
        """Clones that are part of the karyotype."""
        return [clone for clone in self.clones if clone.established]

    @property
    def near(self) -> int:
        """Complete cells with at most one error: one chromosome lost, extra or misread."""
        return sum(
            cell.votes and _errors(found, self.hypotheses.best[k]) <= 1
            for cell, found, k in zip(self.cells, self._found, self._chosen, strict=True)
            if k < len(self.hypotheses.best)
        )

    def _clone(self, number: int, *, alone: bool) -> CloneEvidence:
        index = self.hypotheses.members[0][number]
        copies = self.hypotheses.clones[index]
        mine = [k for k in range(len(self.cells)) if self._chosen[k] == number]
        weight = sum(
            float(posterior)
            for members, posterior in zip(self.hypotheses.members, self.hypotheses.posterior, strict=True)
            if index in members
        )
        exact = tuple(self.cells[k].analysis_id for k in mine if not _errors(self._found[k], copies))
        return CloneEvidence(
            copies={k + 1: int(n) for k, n in enumerate(copies) if n},
            changes=self._best_changes[number],
            cells=tuple(self.cells[k].analysis_id for k in mine),
            exact=exact,
            posterior=min(1.0, weight),
            established=int(copies.sum()) >= MIN_COMPLETE_COUNT and (alone or (len(mine) > 1 and bool(exact))),
        )

    def _probabilities(self) -> dict[Change, float]:
        """Return the probability that some clone has a change, by change."""
        by_clone = [frozenset(changes_of(copies, self.sex)) for copies in self.hypotheses.clones]
        total: dict[Change, float] = defaultdict(float)
        for members, posterior in zip(self.hypotheses.members, self.hypotheses.posterior, strict=True):
            for change in frozenset[Change]().union(*(by_clone[k] for k in members)):
                total[change] += float(posterior)
        return total

    def _changes_of_cell(self, number: int) -> tuple[Change, ...]:
        return changes_of(self._found[number][:CLASS_COUNT], self.sex)

    def _cells_with(self, change: Change) -> tuple[int, ...]:
        """Return the cells of clones with ``change`` that show it themselves."""
        return tuple(
            cell.analysis_id
            for number, cell in enumerate(self.cells)
            if self._chosen[number] < len(self._best_changes)
            and change in self._best_changes[self._chosen[number]]
            and any(_shows(own, change) for own in self._changes_of_cell(number))
        )

    def _abnormality(self, change: Change, cells: tuple[int, ...]) -> AbnormalityEvidence:
        artefact = min(1.0, max(0.0, 1.0 - self._probability.get(change, 0.0)))
        return AbnormalityEvidence(change, cells, artefact, clonal=self._is_clonal(change, cells))

    def of(self, cells: Sequence[int]) -> list[CellSummary]:
        """Return the cells of these analysis ids."""
        return [cell for cell in self.cells if cell.analysis_id in set(cells)]

    def support(self, cells: Sequence[int]) -> int:
        """Return what makes a clone: the number of cells, or of their colonies."""
        return count_colonies(self.of(cells)) if self.rules.clone_unit == "colony" else len(cells)

    def _is_clonal(self, change: Change, cells: Sequence[int]) -> bool:
        support = self.support(cells)
        if change.is_gain:
            return support >= self.rules.cells_with_gain
        if support >= self.rules.cells_with_loss:
            return True
        gains = {one for clone in self.clones for one in clone.changes if one.is_gain}
        shared = any(len(set(cells) & set(self._cells_with(gain))) >= 2 for gain in gains)
        return self.rules.two_losses_with_gain and shared

    def _others(self) -> tuple[AbnormalityEvidence, ...]:
        """Return departures of explained cells from their clones."""
        cells: dict[Change, list[int]] = defaultdict(list)
        for number, k in enumerate(self._chosen):
            if k == len(self._best_changes):
                continue
            for change in self._changes_of_cell(number):
                if not any(_shows(change, own) for own in self._best_changes[k]):
                    cells[change].append(self.cells[number].analysis_id)
        found = [self._abnormality(change, tuple(ids)) for change, ids in cells.items()]
        found.sort(key=lambda one: (one.artefact, -len(one.cells)))
        return tuple(found[:_MAX_OTHERS])


def _shows(own: Change, change: Change) -> bool:
    """Return whether a departure is at least ``change``."""
    if own.class_id != change.class_id or own.is_gain != change.is_gain:
        return False
    return own.copies == change.copies if own.class_id is None else abs(own.copies) >= abs(change.copies)


def _errors(found: Ints, copies: Ints) -> int:
    """Return the fewest lost, extra and misread chromosomes between a cell and a clone."""
    change = found - np.append(copies, 0)
    return int(max(np.maximum(change, 0).sum(), np.maximum(-change, 0).sum()))


def _decide(evidence: _Evidence, images: int, rules: Rules) -> tuple[Outcome, str]:
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
    near = f"{evidence.near} of {counted(called, 'cell')} fit 46,{sex} with at most one error"
    return Outcome.NORMAL, f"{near}, and no numerical abnormality is probable."


def _objection(evidence: _Evidence, images: int, rules: Rules) -> str | None:
    """Return a sentence why the cells allow no karyotype; None if they do."""
    called = len(evidence.cells)
    if not any(cell.votes for cell in evidence.cells):
        span = _span(evidence.cells)
        return f"No cell is complete: the counts are {span}, and {MIN_COMPLETE_COUNT} chromosomes are needed."
    if called < rules.min_cells:
        return f"{counted(called, 'cell')} called, and {rules.min_cells} are needed."
    if 2 * called < images:
        return f"Only {called} of {images} images are called."
    least = rules.min_cells if len(evidence.lines) < 2 else rules.min_mosaic_cells
    needed = max(least, math.ceil(rules.min_share * called))
    if evidence.near < needed:
        fit = f"Of {counted(called, 'cell')}, {evidence.near} are complete and fit a clone with at most one error"
        return f"{fit}, and {needed} are needed."
    return None


def _suspicion(evidence: _Evidence, rules: Rules) -> str | None:
    """Return a sentence that names an uncertain abnormality; None without any."""
    sexes = {sex_of(np.array([clone.copies.get(k, 0) for k in range(1, 25)])) for clone in evidence.lines}
    if {"XX", "XY"} <= sexes:
        return "Cells are of both sexes: a mix-up or a chimera."
    threshold = rules.min_posterior if len(evidence.lines) == 1 else rules.min_mosaic_posterior
    for clone in evidence.lines:
        if clone.changes and clone.posterior < threshold:
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
    for one in evidence.others:
        if 1 - one.artefact >= _threshold(one, len(evidence.cells), rules):
            return f"{one.change} in {counted(len(one.cells), 'cell')}: {percent(one.artefact)} artefact."
    return None


def _threshold(one: AbnormalityEvidence, called: int, rules: Rules) -> float:
    """Return the probability above which an abnormality makes a case suspected."""
    cells = len(one.cells)
    if cells > 1 and 2 * cells > called:
        return 0.0  # what most cells show is not called away, however often it is misread
    if one.clonal:
        least = rules.cells_with_gain if one.change.is_gain else rules.cells_with_loss
        return rules.possible if cells <= least else rules.possible_in_more
    return rules.likely if cells > 1 or 2 * cells >= called else rules.likely_in_one_cell


def _support(evidence: _Evidence, cells: Sequence[int]) -> str:
    found = counted(len(cells), "cell")
    if evidence.rules.clone_unit != "colony":
        return found
    return f"{found} of {counted(evidence.support(cells), 'colony', 'colonies')}"


def _units(rules: Rules) -> str:
    return "colonies" if rules.clone_unit == "colony" else "cells"


def _name(clone: CloneEvidence) -> str:
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
