"""Result types of the analysis of one metaphase image, shared by all rooms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypedDict

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from karyotyping.arrays import Floats32, Mask
from karyotyping.nomenclature.classes import class_name

ContrastPolarity = Literal["dark_on_light", "light_on_dark"]
Orientation = Literal["p_up", "p_down", "unknown"]
ChromosomeFlag = Literal["overlapped", "touching", "cut_by_border", "uncertain", "bent", "atypical_banding"]
"""``atypical_banding``: the bands differ from the homolog and the class; a person should look, nothing is called."""
RestKind = Literal["nucleus", "debris", "annotation", "uncertain"]
"""What a region without a chromosome is; ``uncertain`` may be one."""
QualityFlag = Literal[
    "out_of_focus",
    "low_contrast",
    "too_few",
    "too_many",
    "crowded",
    "cut_by_border",
    "unsure_classes",
    "unexplained_objects",
]

MIN_CLASS_SCORE = 0.8  # 0..1; below it a class is to be checked; two interchangeable classes have about 0.5 each


class RunLengths(TypedDict):
    """COCO compressed run-length mask with ASCII counts, ready for JSON."""

    size: list[int]
    """Height, width."""
    counts: str


def encode_mask(mask: Mask) -> RunLengths:
    """Compress a mask into COCO run lengths.

    Args:
        mask: (H, W).

    >>> encode_mask(np.eye(2, dtype=bool))
    {'size': [2, 2], 'counts': '0120'}
    """
    columns = np.flatnonzero(mask.any(axis=0))
    by_columns = np.zeros(mask.shape, np.uint8, order="F")
    by_columns[:, columns] = mask[:, columns]  # a chromosome has few; reordering all takes longer than the encoding
    encoded = rle.encode(by_columns)
    return {"size": [int(n) for n in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def decode_mask(lengths: RunLengths) -> Mask:
    """Return the (H, W) mask that :func:`encode_mask` compressed."""
    decoded: Mask = rle.decode({"size": lengths["size"], "counts": lengths["counts"].encode()}).astype(bool)
    return decoded


@dataclass(frozen=True, slots=True)
class Atypical:
    """How far the bands of a chromosome differ from its homolog and its class, and where most."""

    false_rate: float
    """Share of normal chromosomes of the class that differ as much, 0..1."""
    start: float
    """Where the difference begins, share of the length from the p telomere, 0..1."""
    stop: float


@dataclass(frozen=True, slots=True)
class Chromosome:
    """One chromosome detected in a metaphase image; lengths are in pixels of that image."""

    ordinal: int
    """Rank by decreasing length, from 0."""
    box: tuple[int, int, int, int]
    """x, y, width, height."""
    mask: RunLengths
    """(H, W) of the whole image; masks of different chromosomes may overlap."""
    score: float
    """Probability that the mask covers exactly one whole chromosome, 0..1."""
    class_id: int | None
    """1..24 (23 = X, 24 = Y) as assigned over the whole cell, None if no class fits."""
    class_score: float
    """Probability of ``class_id``, 0..1."""
    top5: tuple[tuple[int, float], ...]
    """Class ids and probabilities of the five likeliest classes before assignment, best first."""
    length: float
    """Length of the medial axis."""
    width: float
    """Mean width across the medial axis."""
    centromere_index: float | None
    """Length of the p arm over the whole length, 0..1.

    The shorter arm counts as the p arm, 0..0.5, if ``orientation`` is unknown. None if no centromere was found.
    """
    orientation: Orientation
    """Which arm is the upper one in ``straightened``."""
    straightened: NDArray[np.uint8]
    """(h, w) grey picture, stain dark on white 255, medial axis vertical, ``length`` high at a scale of its own."""
    profile: Floats32
    """(64,) mean stain across the medial axis, 0..1, from the upper end of ``straightened`` down."""
    embedding: Floats32 | None = None
    """(D,) unit vector; None without the embedding network."""
    flags: frozenset[ChromosomeFlag] = frozenset()
    atypical: Atypical | None = None
    """Comparison with its homolog and its class; None if it was not compared."""

    @property
    def label(self) -> str:
        """Name of the class, ``"?"`` if unknown."""
        return class_name(self.class_id)


@dataclass(frozen=True, slots=True)
class Quality:
    """QC metrics of one metaphase image; fields match the columns of ``qc_metrics``."""

    chromosome_count: int
    contrast_polarity: ContrastPolarity
    focus: float
    """Mean squared edge gradient of the chromosomes relative to their contrast; higher is sharper."""
    contrast: float
    """Median stain of the chromosomes above background, share of the full range, 0..1."""
    noise: float
    """Robust standard deviation of the background, share of the full range, 0..1."""
    background_unevenness: float
    """Range of the background surface, share of the full range, 0..1."""
    spread: float
    """Area of the convex hull of all chromosomes over their summed area."""
    chromosome_width: float
    """Median chromosome width, px; the estimate of scale."""
    cluster_count: int
    """Groups of chromosomes that touch or overlap."""
    overlap_count: int
    """Pairs of chromosomes that overlap."""
    nucleus_count: int
    debris_count: int
    unexplained_objects: int
    """Objects that may be chromosomes and are none in the result: rests of kind ``uncertain``."""
    edge_contact_count: int
    """Chromosomes cut by the image border."""
    class_confidence: float
    """Median class score of the chromosomes, 0..1."""
    score: float
    """Suitability for karyotyping, 0..1."""
    flags: frozenset[QualityFlag] = frozenset()
    band_level: int | None = None
    """Bands per haploid set that the cell resolves; None if unknown. Never part of the karyotype."""
    band_level_low: int | None = None
    """Lower end of its interval of 90 %."""
    band_level_high: int | None = None
    """Upper end of its interval of 90 %."""
    outline_edits: float | None = None
    """Expected chromosomes that are missed or falsely found; None if not predicted."""
    class_edits: float | None = None
    """Expected chromosomes of a wrong class; None if not predicted."""


@dataclass(frozen=True, slots=True)
class Unassigned:
    """A region of the foreground that is part of no chromosome."""

    kind: RestKind
    mask: RunLengths
    """(H, W) of the whole image."""


@dataclass(frozen=True, slots=True)
class CellAnalysis:
    """Result of one pipeline for one metaphase image."""

    shape: tuple[int, int]
    """H, W of the image."""
    chromosomes: tuple[Chromosome, ...]
    quality: Quality
    iscn: str | None
    """Karyotype of this cell, e.g. ``"47,XY,+21"``; None with the flag ``too_many``, as the image is no metaphase."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time by stage, s."""
    rests: tuple[Unassigned, ...] = ()
    """What is part of no chromosome."""

    @property
    def class_counts(self) -> dict[int, int]:
        """Copies by class id, without absent classes."""
        return count_classes(self.chromosomes)


def count_classes(chromosomes: Iterable[Chromosome]) -> dict[int, int]:
    """Return copies by class id, without absent classes and unidentified chromosomes."""
    return dict(Counter(item.class_id for item in chromosomes if item.class_id is not None))


class AnalysisError(Exception):
    """A decoded image that cannot be karyotyped.

    Args:
        reason: stable key, e.g. ``no_chromosomes``.
        sentence: explanation for the user.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
