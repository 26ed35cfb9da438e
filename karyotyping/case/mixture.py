"""Posterior of hypotheses about a case: which clones it has.

A hypothesis is a set of one to three clones. Every event between a clone and a normal cell, or a related clone, lowers
its prior. The shares of the clones have a uniform Dirichlet prior, which is integrated exactly: a dynamic programme
counts the cells by clone, and each count has its Dirichlet-multinomial probability. The level of error of the case is
integrated over a grid, of losses and of other errors; that of each cell over three values, so that the losses of a poor
cell say little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import lgamma

import numpy as np

from karyotyping.arrays import Floats, Ints
from karyotyping.case.candidates import suggest_clones
from karyotyping.case.cell import CellSummary
from karyotyping.case.changes import changes_of, has_swap, log_prior_of_events, normal_copies, reference_sex
from karyotyping.case.likelihood import background_likelihood, cell_likelihoods
from karyotyping.case.rates import GROUP_BY_CLASS, ErrorRates

_LEVELS = {1 / 81: 0.05, 1 / 27: 0.1, 1 / 9: 0.15, 1 / 3: 0.25, 1.0: 0.3, 3.0: 0.15}
"""Prior probabilities of the factors of a case's error rates."""
_LOSSES = {1 / 3: 0.2, 1.0: 0.6, 3.0: 0.2}  # the same of how much more, or less, chromosomes are lost than that
_CELL_LEVELS = {1.0: 0.75, 3.0: 0.2, 9.0: 0.05}  # the same of a cell's factors, relative to those of its case
_FACTORS: Floats = np.array([(level * losses, level) for level in _LEVELS for losses in _LOSSES])
"""(L, 2) factors of the losses of a case and of its other errors."""
_FACTOR_PRIOR: Floats = np.outer(list(_LEVELS.values()), list(_LOSSES.values())).ravel()  # (L,)
_BACKGROUND = 0.05  # probability that a cell is unrelated or unreadable
_SWAP = 0.02  # factor for a gain and a loss in one Denver group
_FURTHER_CLONE = 0.2  # prior probability of one more clone
_MAX_EXACT_CELLS = 40
_EM_STEPS = 30
_MAX_SINGLE, _MAX_PARTNERS, _MAX_TRIPLE = 24, 24, 6  # clones that are combined


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """Weighted sets of clones, the most probable first."""

    clones: tuple[Ints, ...]
    """(C,) candidates; each (24,) copies by class."""
    members: tuple[tuple[int, ...], ...]
    """(S,) clones of each set, as indices."""
    posterior: Floats
    """(S,) sum 1."""
    responsibilities: Floats
    """(N, K + 1) probability that a cell is of each clone of the first set, or of none (last)."""
    level: float
    """Most probable factor of the rates of lost chromosomes."""

    @property
    def best(self) -> list[Ints]:
        """Clones of the most probable set."""
        return [self.clones[k] for k in self.members[0]]


def weigh(cells: Sequence[CellSummary], rates: ErrorRates) -> Hypotheses:
    """Return the hypotheses about a case with their posteriors.

    Args:
        cells: N called cells, at least one.
        rates: error rates of the pipeline.
    """
    clones = suggest_clones(cells)
    found = _likelihoods(cells, clones, rates)  # (N, C, L)
    background = np.array([background_likelihood(cell) for cell in cells])[:, None, None]
    found = np.logaddexp(np.log1p(-_BACKGROUND) + found, np.log(_BACKGROUND) + background)
    prior = _Prior(clones)
    sets = _sets(found, prior)
    log_prior = np.array([prior.log(members) for members in sets])
    evidence = np.vstack(
        [
            _log_evidence(found, [members for members in sets if len(members) == size])
            for size in sorted({len(members) for members in sets})
        ]
    )  # (S, L); the sets are ordered by their size
    joint = evidence + log_prior[:, None] + np.log(_FACTOR_PRIOR)
    posterior = np.exp(joint - joint.max())
    posterior /= posterior.sum()
    by_set = posterior.sum(axis=1)
    order = np.argsort(-by_set, kind="stable")
    best = sets[order[0]]
    level = int(posterior[order[0]].argmax())
    return Hypotheses(
        clones=tuple(clones),
        members=tuple(sets[k] for k in order),
        posterior=by_set[order],
        responsibilities=_responsibilities(found[:, list(best), level], background[:, 0, 0]),
        level=float(_FACTORS[level, 0]),
    )


def _likelihoods(cells: Sequence[CellSummary], clones: Sequence[Ints], rates: ErrorRates) -> Floats:
    """Return (N, C, L) log probabilities of the cells; levels of single cells are integrated."""
    factors = np.concatenate([own * _FACTORS for own in _CELL_LEVELS])
    found = np.array([cell_likelihoods(cell, clones, rates, factors) for cell in cells])
    by_own = found.reshape(*found.shape[:2], len(_CELL_LEVELS), len(_FACTORS))
    mixed: Floats = np.logaddexp.reduce(by_own + np.log(list(_CELL_LEVELS.values()))[:, None], axis=2)
    return mixed


def _sets(found: Floats, prior: _Prior) -> list[tuple[int, ...]]:
    """Return the sets of clones to weigh: single ones, pairs and triples of the most promising."""
    prior_alone = np.array([prior.log((k,)) for k in range(found.shape[1])])
    alone = found.sum(axis=0).max(axis=1) + prior_alone
    single = np.argsort(-alone, kind="stable")[:_MAX_SINGLE]
    # A minor clone explains few cells: it is ranked by what it adds to the best clone of all cells.
    added = np.maximum(found - found[:, single[:1], :], 0).sum(axis=0).max(axis=1) + prior_alone
    partners = np.argsort(-added, kind="stable")[:_MAX_PARTNERS]
    chosen = list(dict.fromkeys([*range(2), *map(int, single[: _MAX_SINGLE // 2]), *map(int, partners)]))
    few = list(dict.fromkeys([*map(int, single[: _MAX_TRIPLE // 2]), *map(int, partners[:_MAX_TRIPLE])]))
    return [
        *((int(k),) for k in sorted({*chosen, *map(int, single)})),
        *combinations(chosen, 2),
        *combinations(few, 3),
    ]


class _Prior:
    """Log prior of sets of clones: events of the likeliest tree from a normal cell to all."""

    def __init__(self, clones: Sequence[Ints]) -> None:
        nodes = [normal_copies("XX"), normal_copies("XY"), *clones]
        self._events = np.array([[log_prior_of_events(one, other) for other in nodes] for one in nodes])
        self._swaps = [has_swap(changes_of(one, reference_sex([one])), GROUP_BY_CLASS) for one in clones]

    def log(self, members: Sequence[int]) -> float:
        """Return the log prior of the set of clones with these indices."""
        nodes = [k + 2 for k in members]
        events = max(self._tree([root, *nodes]) for root in (0, 1))
        swaps = sum(self._swaps[k] for k in members)
        return float(events + swaps * np.log(_SWAP) + (len(members) - 1) * np.log(_FURTHER_CLONE) + np.log(0.5))

    def _tree(self, nodes: Sequence[int]) -> float:
        """Return the log prior of the most probable tree that joins ``nodes`` (Prim, 1957)."""
        joined, waiting, total = [nodes[0]], list(nodes[1:]), 0.0
        while waiting:
            near, nearest = max((float(self._events[joined, k].max()), k) for k in waiting)
            total += near
            joined.append(nearest)
            waiting.remove(nearest)
        return total


def _log_evidence(found: Floats, sets: Sequence[tuple[int, ...]]) -> Floats:
    """Return (S, L) log probabilities of all cells for sets of one size.

    Above ``_MAX_EXACT_CELLS`` cells the Bayesian information criterion takes the place of the exact sum.

    ``ways`` sums over the assignments of the cells so far, by the number of cells of every clone but the last.
    """
    cells, _, levels = found.shape
    size = len(sets[0])
    chosen = found[:, np.array(sets), :].transpose(0, 1, 3, 2).reshape(cells, -1, size)  # (N, S * L, K)
    highest = chosen.max(axis=2)
    relative = np.exp(chosen - highest[:, :, None])
    total = highest.sum(axis=0)
    if cells > _MAX_EXACT_CELLS and size > 1:
        best = np.log(np.einsum("nsk,sk->ns", relative, _likeliest_shares(relative))).sum(axis=0)
        approximate: Floats = (total + best - (size - 1) / 2 * np.log(cells)).reshape(len(sets), levels)
        return approximate
    free = size - 1
    ways = np.zeros((len(total), *[cells + 1] * free))
    ways.reshape(len(total), -1)[:, 0] = 1.0
    for cell in relative:
        weights = cell.reshape(len(total), size, *[1] * free)
        new = ways * weights[:, -1]
        for axis in range(free):  # the cell is of the clone that this axis counts
            later, earlier = np.moveaxis(new, axis + 1, 0), np.moveaxis(ways * weights[:, axis], axis + 1, 0)
            later[1:] += earlier[:-1]
        peak = new.reshape(len(total), -1).max(axis=1)
        total = total + np.log(peak)
        ways = new / peak.reshape(-1, *[1] * free)
    weighted = (ways * _dirichlet_multinomial(cells, size)).reshape(len(total), -1).sum(axis=1)
    evidence: Floats = (total + np.log(weighted)).reshape(len(sets), levels)
    return evidence


def _likeliest_shares(relative: Floats) -> Floats:
    """Return (S, K) most probable shares of clones from (N, S, K) probabilities, by EM."""
    shares = np.full(relative.shape[1:], 1 / relative.shape[2])
    for _ in range(_EM_STEPS):
        weighted = relative * shares
        weighted /= weighted.sum(axis=2, keepdims=True)
        shares = weighted.mean(axis=0)
    return shares


def _dirichlet_multinomial(cells: int, size: int) -> Floats:
    """Return the probability of one assignment by its counts, (cells + 1,) * (size - 1)."""
    counts = np.indices([cells + 1] * (size - 1)).reshape(size - 1, (cells + 1) ** (size - 1))
    rest = cells - counts.sum(axis=0)
    factorial = np.array([lgamma(n + 1) for n in range(cells + 1)])
    logarithm = factorial[np.maximum(rest, 0)] + factorial[counts].sum(axis=0) + lgamma(size) - lgamma(cells + size)
    return np.exp(np.where(rest >= 0, logarithm, -np.inf)).reshape([cells + 1] * (size - 1))


def _responsibilities(found: Floats, background: Floats) -> Floats:
    """Return (N, K + 1) probabilities of the clones of one set and of none, at the mean shares.

    Args:
        found: (N, K) log probabilities that include the background.
        background: (N,) log probabilities of the background.
    """
    cells, size = found.shape
    shares = np.full(size, 1 / size)
    for _ in range(_EM_STEPS):
        weighted = shares * np.exp(found - found.max(axis=1, keepdims=True))
        weighted /= weighted.sum(axis=1, keepdims=True)
        shares = (weighted.sum(axis=0) + 1) / (cells + size)
    total = np.log((shares * np.exp(found - found.max(axis=1, keepdims=True))).sum(axis=1)) + found.max(axis=1)
    none = np.minimum(np.exp(np.log(_BACKGROUND) + background - total), 1.0)
    # The clones' own part of each term is what the background leaves.
    own = np.maximum(np.exp(found - total[:, None]) - none[:, None], 0.0) * shares
    return np.column_stack([own, 1 - own.sum(axis=1)])
