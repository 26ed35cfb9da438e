"""Clones, abnormalities and cells of the most probable hypothesis about a case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from karyotyping.arrays import Bools, Ints
from karyotyping.case.cell import MIN_COMPLETE_COUNT, CellSummary
from karyotyping.case.changes import Change, changes_of, reference_sex
from karyotyping.case.cultures import count_colonies
from karyotyping.case.likelihood import copies_found
from karyotyping.case.mixture import Hypotheses
from karyotyping.case.rates import UNKNOWN
from karyotyping.case.rules import Rules
from karyotyping.nomenclature.classes import CLASS_COUNT

_MAX_OTHERS = 12  # further departures that are listed, besides those in as many cells as make a clone


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
    """Whether it is in the karyotype: it is alone or of two cells, one is complete, and one shows its copies.

    A cell with a chromosome without a class shows them too, unless the clone lacks one or another clone has one more. A
    normal clone that is alone needs none.
    """

    @property
    def artefact(self) -> float:
        """Probability that the clone is made of lost, misread and extra chromosomes, 0..1."""
        return 1.0 - self.posterior


class Evidence:
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
        self.max_errors = rules.max_errors_of_abnormal if any(self._best_changes) else rules.max_errors
        self._fitting = [
            number
            for number, (cell, k) in enumerate(zip(cells, self._chosen, strict=True))
            if cell.votes
            and (cell.class_edits or 0.0) <= rules.max_class_edits
            and k < len(best)
            and _errors(self._found[number][:CLASS_COUNT], best[k]) <= self.max_errors
        ]
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
    def fitting(self) -> int:
        """Complete cells of certain classes that fit their clone."""
        return len(self._fitting)

    @property
    def unconfirmed(self) -> tuple[int, int] | None:
        """Class id of a chromosome that too few fitting cells confirm, and how many do.

        A class that a cell is not certain of is not confirmed: the place of a lost chromosome attracts those of other
        classes. A gained one has no place that attracts. One cell may depart, and more if as many as make a karyotype
        show the copies. None if there is no such class.
        """
        if not self._fitting:
            return None
        shown: Ints = np.sum([self._confirms(k) for k in self._fitting], axis=0)
        for k in np.argsort(shown, kind="stable"):
            if shown[k] < self.rules.min_cells and shown[k] < len(self._fitting) - 1:
                return int(k) + 1, int(shown[k])
        return None

    def _confirms(self, number: int) -> Bools:
        """Return (24,) whether a cell shows its clone's copies, and certainly where none is gained."""
        clone = self._chosen[number]
        right: Bools = self._found[number][:CLASS_COUNT] == self.hypotheses.best[clone]
        gained = {change.class_id for change in self._best_changes[clone] if change.is_gain}
        right[[class_id - 1 for class_id in self.cells[number].uncertain_classes - gained]] = False
        return right

    def recurrent(self, least: float, *, alone: bool = False, gain: bool = False) -> Change | None:
        """Return the most probable recurrent abnormality of a cell that fits; None without any.

        Args:
            least: probability, 0..1, from which one counts.
            alone: whether nothing else may depart in the cell.
            gain: whether losses do not count.
        """
        possible = {
            change
            for number in self._fitting
            if not alone or self._departs_once(number)
            for change in self._departures(number)
            if change.is_recurrent and (change.is_gain or not gain)
            if self._probability.get(change, 0.0) >= least
        }
        return max(possible, key=self._probability.__getitem__, default=None)

    def _departs_once(self, number: int) -> bool:
        expected = np.append(self.hypotheses.best[self._chosen[number]], 0)
        return int(np.abs(self._found[number] - expected).sum()) == 1

    def _clone(self, number: int, *, alone: bool) -> CloneEvidence:
        index = self.hypotheses.members[0][number]
        copies = self.hypotheses.clones[index]
        mine = [k for k in range(len(self.cells)) if self._chosen[k] == number]
        weight = sum(
            float(posterior)
            for members, posterior in zip(self.hypotheses.members, self.hypotheses.posterior, strict=True)
            if index in members
        )
        exact = tuple(self.cells[k].analysis_id for k in mine if np.array_equal(self._found[k], np.append(copies, 0)))
        return CloneEvidence(
            copies={k + 1: int(n) for k, n in enumerate(copies) if n},
            changes=self._best_changes[number],
            cells=tuple(self.cells[k].analysis_id for k in mine),
            exact=exact,
            posterior=min(1.0, weight),
            established=int(copies.sum()) >= MIN_COMPLETE_COUNT
            and any(self.cells[k].votes for k in mine)
            and (any(self._shows_clone(k, number) for k in mine) or (alone and not self._best_changes[number]))
            and (alone or len(mine) > 1),
        )

    def _shows_clone(self, cell: int, clone: int) -> bool:
        """Return whether a cell has the copies of a clone.

        A chromosome without a class may be the one that is lost, or that another clone has more.
        """
        found, copies = self._found[cell], self.hypotheses.best[clone]
        if not np.array_equal(found[:CLASS_COUNT], copies):
            return False
        has_loss = not all(change.is_gain for change in self._best_changes[clone])
        more = [other - copies for other in self.hypotheses.best]
        is_other = any((one >= 0).all() and 0 < one.sum() <= found[UNKNOWN] for one in more)
        return not (is_other or (has_loss and found[UNKNOWN]))

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
        """Return departures of cells from their clones."""
        cells: dict[Change, list[int]] = defaultdict(list)
        for number, cell in enumerate(self.cells):
            for change in self._departures(number):
                cells[change].append(cell.analysis_id)
        found = [self._abnormality(change, tuple(ids)) for change, ids in cells.items()]
        found.sort(key=lambda one: (one.artefact, -len(one.cells)))
        return tuple(one for place, one in enumerate(found) if one.clonal or place < _MAX_OTHERS)

    def _departures(self, number: int) -> list[Change]:
        """Return what a cell has more or less than its clone, or than the nearest one.

        An incomplete cell that no clone explains has no departures.
        """
        best, nearest = self.hypotheses.best, int(self._chosen[number])
        if nearest == len(best):
            if not self.cells[number].votes:
                return []
            nearest = min(range(len(best)), key=lambda k: _errors(self._found[number][:CLASS_COUNT], best[k]))
        clone = self._best_changes[nearest]
        return [change for change in self._changes_of_cell(number) if not any(_shows(change, own) for own in clone)]


def _shows(own: Change, change: Change) -> bool:
    """Return whether a departure is at least ``change``."""
    if own.class_id != change.class_id or own.is_gain != change.is_gain:
        return False
    return own.copies == change.copies if own.class_id is None else abs(own.copies) >= abs(change.copies)


def _errors(found: Ints, copies: Ints) -> int:
    """Return the fewest errors between the (24,) copies of a cell and those of a clone."""
    change = found - copies
    return int(max(np.maximum(change, 0).sum(), np.maximum(-change, 0).sum()))
