"""Chromosomes whose bands differ from their homolog and from their class.

A chromosome is described by its stain and its width along the axis, and by its length relative to the cell. Normal
chromosomes of a class, and pairs of normal homologs, have a joint normal distribution of these values. Its covariance
covers how bands shift and stretch between cells. Structural changes of the mean chromosome are templates: deletions,
duplications, inversions and additions of every size and place. The log likelihood ratio of the best template, and the
Mahalanobis distance for all other changes, say how atypical a chromosome is, given its homolog. The score is the share
of normal chromosomes that are as atypical.

Heterochromatin that varies between healthy persons (gvar and stalk in the ideogram) counts little. A flag asks a person
to look. It changes no karyotype.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Floats, Floats32
from karyotyping.chromosome.measure import Measurement
from karyotyping.classification.atypical_templates import (
    DIMENSIONS,
    KINDS,
    Change,
    change_templates,
    describe,
    variable_weights,
)
from karyotyping.classification.embedder import appearance, cell_scale
from karyotyping.model import Atypical, Chromosome, ChromosomeFlag, ContrastPolarity
from karyotyping.nomenclature.classes import CLASS_COUNT
from models.registry import WEIGHTS

MODEL_FILE = WEIGHTS / "normal_homologs.npz"
CANVAS_SHAPE = (128, 32)  # px, rows and columns on which chromosomes are described
MAX_FALSE_RATE = 1 / (5 * 46)  # of a flag: one false flag in five normal cells
MIN_CHROMOSOMES = 20  # of a cell that can be assessed; fewer give no scale

_UNFIT = frozenset({"overlapped", "cut_by_border", "uncertain"})  # flags of chromosomes whose profile is not their own
_MIN_SCORE = 0.5  # class and outline of a chromosome that is assessed, 0..1
_MAX_DEVIATION = 4.0  # standard deviations at which the values of a homolog are clipped
_SHRINKAGE = 0.1  # share of the covariance matrix that is replaced by its diagonal
_NOISE = 0.02  # added to the variances
_VARIABLE_NOISE = 2.0  # added to the variances where healthy persons differ
RATES = (1.0, 0.5, 0.2, 0.05, 0.005)
"""Shares of normal chromosomes that are as atypical as the quantiles of a model."""

Context = Literal["class", "homolog"]
CONTEXTS: tuple[Context, ...] = ("class", "homolog")
"""What a chromosome is compared with: its class only, or its class given its homolog."""


@dataclass(frozen=True, slots=True)
class NormalModel:
    """What normal chromosomes of the 24 classes look like. V values describe a chromosome."""

    mean: Floats
    """(24, V)."""
    covariance: Floats
    """(24, V, V) of the chromosomes of a class."""
    pair_covariance: Floats
    """(24, V, V) of a chromosome with its homolog in the same cell; 0 for Y."""
    location: Floats
    """(24, 2, 5) median of each statistic of normal chromosomes, by context."""
    scale: Floats
    """(24, 2, 5) their standard deviation."""
    quantiles: Floats
    """(24, 2, 5) of the largest statistic, that ``RATES`` of the normal chromosomes exceed, by context."""

    def save(self, path: Path) -> None:
        """Write the model; matrices are symmetric, so their upper half is written."""
        upper = np.triu_indices(DIMENSIONS)
        np.savez_compressed(
            path,
            mean=self.mean.astype(np.float32),
            covariance=self.covariance[:, *upper].astype(np.float16),
            pair_covariance=self.pair_covariance[:, *upper].astype(np.float16),
            location=self.location.astype(np.float32),
            scale=self.scale.astype(np.float32),
            quantiles=self.quantiles.astype(np.float32),
        )

    @classmethod
    def load(cls, path: Path = MODEL_FILE) -> NormalModel:
        """Return the model that ``save`` wrote."""
        upper = np.triu_indices(DIMENSIONS)
        with np.load(path) as stored:
            values = {name: stored[name].astype(np.float64) for name in stored.files}
        for name in ("covariance", "pair_covariance"):
            full = np.zeros((CLASS_COUNT, DIMENSIONS, DIMENSIONS))
            full[:, *upper] = values[name]
            values[name] = full + np.triu(full, 1).transpose(0, 2, 1)
        return cls(**values)


@dataclass(frozen=True, slots=True)
class _Context:
    """How chromosomes of one class are compared in one context."""

    mean: Floats
    deviation: Floats
    regression: Floats
    """(V, V) expected deviation of a chromosome for that of its homolog."""
    precision: Floats
    """(V, V) inverse covariance of what the homolog does not explain."""
    weighted: Floats
    """(n, V) templates times precision."""
    norms: Floats
    """(n,) halves of the squared Mahalanobis lengths of the templates."""
    kinds: tuple[NDArray[np.intp], ...]
    """Indices of the templates of each kind."""

    def statistics(self, values: Floats, homologs: Floats | None) -> tuple[Floats, NDArray[np.intp]]:
        residuals = values - self.mean
        if homologs is not None:
            limit = _MAX_DEVIATION * self.deviation
            residuals = residuals - np.clip(homologs - self.mean, -limit, limit) @ self.regression.T
        ratios = residuals @ self.weighted.T - self.norms
        distance = np.sqrt(((residuals @ self.precision) * residuals).sum(axis=1))
        best = np.stack([members[ratios[:, members].argmax(axis=1)] for members in self.kinds], axis=1)
        largest = np.take_along_axis(ratios, best, axis=1)
        overall = np.take_along_axis(best, largest.argmax(axis=1)[:, None], axis=1)
        return np.concatenate([distance[:, None], largest], axis=1), np.concatenate([overall, best], axis=1)


def _prepare_context(model: NormalModel, class_index: int, context: Context, changes: Sequence[Change]) -> _Context:
    mean, own = model.mean[class_index], model.covariance[class_index]
    pair = model.pair_covariance[class_index] if context == "homolog" else np.zeros_like(own)
    regression = np.asarray(np.linalg.solve(_regularise(own), pair).T, np.float64)
    unexplained = _regularise(own - regression @ pair.T) + _variable_covariance(class_index + 1, changes)
    precision = np.asarray(np.linalg.inv(unexplained), np.float64)
    templates = np.stack([one.difference for one in changes])
    weighted: Floats = templates @ precision
    kinds = tuple(np.flatnonzero([one.kind == kind and not one.variable for one in changes]) for kind in KINDS)
    norms = (weighted * templates).sum(axis=1) / 2
    return _Context(mean, np.sqrt(np.diag(own)), regression, precision, weighted, norms, kinds)


def _variable_covariance(class_id: int, changes: Sequence[Change]) -> Floats:
    """Return the covariance (V, V) of size and stain of heterochromatin in healthy persons."""
    stain = np.diag(_VARIABLE_NOISE * (1 - variable_weights(class_id)))
    sizes = [one.difference for one in changes if one.variable and one.kind in ("deletion", "duplication")]
    if not sizes:
        return stain
    covariance: Floats = stain + np.stack(sizes).T @ np.stack(sizes) * (_VARIABLE_NOISE / len(sizes))
    return covariance


def _regularise(covariance: Floats) -> Floats:
    """Return the positive definite matrix (V, V) that is near ``covariance``."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    positive = (vectors * np.maximum(values, 0.0)) @ vectors.T
    regular: Floats = (1 - _SHRINKAGE) * positive + np.diag(_SHRINKAGE * np.diag(positive) + _NOISE)
    return regular


class Assessor:
    """Comparison of chromosomes with a model of normal ones."""

    def __init__(self, model: NormalModel) -> None:
        self.model = model
        self._changes: dict[int, tuple[Change, ...]] = {}
        self._contexts: dict[tuple[int, Context], _Context] = {}

    def statistics(self, class_index: int, values: Floats, homologs: Floats | None) -> tuple[Floats, NDArray[np.intp]]:
        """Return how chromosomes differ from normal ones, and the changes that fit best.

        The first statistic is the Mahalanobis distance. The others are log likelihood ratios by kind of change.

        Args:
            class_index: 0..23.
            values: (n, V) from ``describe``.
            homologs: (n, V) of their homologs, or None to compare with the class only.

        Returns:
            Statistics (n, 5), and for each one the index (n, 5) of a change of the class.
        """
        key = class_index, context_of(homologs)
        if key not in self._contexts:
            changes = self.changes(class_index)
            self._contexts[key] = _prepare_context(self.model, *key, changes)
        return self._contexts[key].statistics(values, homologs)

    def changes(self, class_index: int) -> tuple[Change, ...]:
        """Return the structural changes of a class, 0..23."""
        if class_index not in self._changes:
            self._changes[class_index] = change_templates(class_index + 1, self.model.mean[class_index])
        return self._changes[class_index]

    def assess(self, class_index: int, values: Floats, homolog: Floats | None) -> Atypical:
        """Return how atypical a chromosome is, with the place of the change that fits best.

        Args:
            class_index: 0..23.
            values: (V,) from ``describe``.
            homolog: (V,) of its homolog, or None to compare with the class only.
        """
        homologs = None if homolog is None else homolog[None]
        statistics, best = (found[0] for found in self.statistics(class_index, values[None], homologs))
        place = class_index, CONTEXTS.index(context_of(homolog))
        relative = (statistics - self.model.location[place]) / self.model.scale[place]
        change = self.changes(class_index)[best[relative.argmax()]]
        return Atypical(_false_rate(float(relative.max()), self.model.quantiles[place]), change.start, change.stop)


def _false_rate(largest: float, quantiles: Floats) -> float:
    """Return the share of normal chromosomes, by log-linear interpolation of quantiles."""
    logarithms = np.log(RATES)
    slope = (logarithms[-1] - logarithms[-2]) / max(float(quantiles[-1] - quantiles[-2]), 1e-6)
    beyond = slope * max(largest - float(quantiles[-1]), 0.0)
    return float(np.exp(np.interp(largest, quantiles, logarithms) + beyond))


def context_of(homologs: Floats | None) -> Context:
    """Return the context of chromosomes with these homologs."""
    return "class" if homologs is None else "homolog"


@cache
def _shipped() -> Assessor:
    return Assessor(NormalModel.load())


def flag_atypical(
    chromosomes: Sequence[Chromosome], measured: Sequence[Measurement], polarity: ContrastPolarity
) -> tuple[Chromosome, ...]:
    """Return the chromosomes of a cell, compared with their homologs and classes.

    Only G-banded cells are compared, of at least 20 chromosomes. A chromosome that is crossed, cut, uncertain or of
    unknown orientation is left out.

    Args:
        chromosomes: (N,) longest first.
        measured: (N,) their measurements, in any order.
        polarity: of the image; other stains than G-bands are light on dark.
    """
    longest_first = sorted(measured, key=lambda one: -one.length)
    if polarity != "dark_on_light" or len(chromosomes) < MIN_CHROMOSOMES:
        return tuple(chromosomes)
    scale = cell_scale(longest_first)
    described: dict[int, Floats] = {}
    by_class: dict[int, list[int]] = defaultdict(list)
    for k, one in enumerate(chromosomes):
        if one.class_id is None or not _is_usable(one):
            continue
        values = describe(_p_arm_up(appearance(longest_first[k], scale, CANVAS_SHAPE), one))
        if values is not None:
            described[k] = values
            by_class[one.class_id].append(k)
    result = list(chromosomes)
    for class_id, members in by_class.items():
        for k in members:
            homolog = described[members[1 - members.index(k)]] if len(members) == 2 else None
            result[k] = _flagged(result[k], _shipped().assess(class_id - 1, described[k], homolog))
    return tuple(result)


def _is_usable(chromosome: Chromosome) -> bool:
    sure = min(chromosome.class_score, chromosome.score) >= _MIN_SCORE
    return sure and chromosome.orientation != "unknown" and not _UNFIT & chromosome.flags


def _p_arm_up(canvas: Floats32, chromosome: Chromosome) -> Floats32:
    return canvas[::-1] if chromosome.orientation == "p_down" else canvas


def _flagged(chromosome: Chromosome, found: Atypical) -> Chromosome:
    flag: frozenset[ChromosomeFlag] = frozenset({"atypical_banding"} if found.false_rate < MAX_FALSE_RATE else ())
    return replace(chromosome, flags=chromosome.flags | flag, atypical=found)
