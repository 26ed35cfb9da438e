"""What the analysis of one metaphase image yields: the vocabulary that every other room shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypedDict

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from karyotyping.nomenclature.classes import class_name

ContrastPolarity = Literal["dark_on_light", "light_on_dark"]
Orientation = Literal["p_up", "p_down", "unknown"]
ChromosomeFlag = Literal["overlapped", "touching", "cut_by_border", "uncertain", "bent"]
QualityFlag = Literal[
    "out_of_focus", "low_contrast", "too_few", "too_many", "crowded", "cut_by_border", "unsure_classes"
]


class RunLengths(TypedDict):
    """A COCO compressed run-length mask whose counts are text, as JSON wants them."""

    size: list[int]
    counts: str


def encode_mask(mask: NDArray[np.bool_]) -> RunLengths:
    """Compress an (H, W) mask."""
    encoded = rle.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(n) for n in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def decode_mask(lengths: RunLengths) -> NDArray[np.bool_]:
    """The (H, W) mask of ``lengths``."""
    decoded: NDArray[np.bool_] = rle.decode({"size": lengths["size"], "counts": lengths["counts"].encode()}).astype(
        bool
    )
    return decoded


@dataclass(frozen=True, slots=True)
class Chromosome:
    """One chromosome found in a metaphase image. Lengths are in pixels of the original image."""

    ordinal: int
    """0, 1, ... in order of decreasing length."""
    box: tuple[int, int, int, int]
    """x, y, width, height."""
    mask: RunLengths
    """Mask over the whole image; masks of different chromosomes may overlap."""
    score: float
    """Probability that this is exactly one whole chromosome, 0..1."""
    class_id: int | None
    """1..24 as assigned over the whole cell (23 = X, 24 = Y), or None if it fits no class."""
    class_score: float
    """Probability of ``class_id``, 0..1."""
    top5: tuple[tuple[int, float], ...]
    """The five likeliest classes of this chromosome seen alone, with probabilities, best first."""
    length: float
    """Length of the medial axis."""
    width: float
    """Mean width across the medial axis."""
    centromere_index: float | None
    """Length of the p arm over the whole, 0..1; of the shorter arm, 0..0.5, if ``orientation`` is unknown. None if the
    centromere was not found."""
    orientation: Orientation
    """How ``straightened`` stands."""
    straightened: NDArray[np.uint8]
    """(L, W) grey, stain dark on white, medial axis vertical; p arm up if ``orientation`` is ``p_up``."""
    profile: NDArray[np.float32]
    """(64,) mean stain density across the medial axis, from the upper end of ``straightened`` to the lower, 0..1."""
    embedding: NDArray[np.float32] | None = None
    """(D,) unit vector, when a network made one."""
    flags: frozenset[ChromosomeFlag] = frozenset()

    @property
    def label(self) -> str:
        """Class name, ``"?"`` if unknown."""
        return class_name(self.class_id)


@dataclass(frozen=True, slots=True)
class Quality:
    """QC metrics of one metaphase image. Fields match the columns of ``qc_metrics``."""

    chromosome_count: int
    contrast_polarity: ContrastPolarity
    focus: float
    """Mean squared edge gradient over the chromosomes relative to their contrast; higher is sharper."""
    contrast: float
    """Median stain of chromosomes above background over the image's full range, 0..1."""
    noise: float
    """Robust standard deviation of the background over the image's full range, 0..1."""
    background_unevenness: float
    """Spread of the background estimate over the image's full range, 0..1."""
    spread: float
    """Area of the chromosomes' convex hull over the summed chromosome area."""
    chromosome_width: float
    """Median chromosome width, pixels of the original image; the scale estimate."""
    cluster_count: int
    """Contours that held more than one chromosome."""
    overlap_count: int
    nucleus_count: int
    debris_count: int
    edge_contact_count: int
    """Chromosomes cut by the image border."""
    class_confidence: float
    """Median of the chromosomes' class scores, 0..1."""
    score: float
    """0..1: how suitable the image is for karyotyping; ranks the images of a case."""
    flags: frozenset[QualityFlag] = frozenset()


@dataclass(frozen=True, slots=True)
class CellAnalysis:
    """Everything one pipeline found in one metaphase image of shape ``shape`` (H, W)."""

    shape: tuple[int, int]
    chromosomes: tuple[Chromosome, ...]
    quality: Quality
    iscn: str
    """Karyotype of this cell as counted, e.g. ``"47,XY,+21"``."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time by stage."""

    @property
    def class_counts(self) -> dict[int, int]:
        """Copies of each class id that is present."""
        counts: dict[int, int] = {}
        for chromosome in self.chromosomes:
            if chromosome.class_id is not None:
                counts[chromosome.class_id] = counts.get(chromosome.class_id, 0) + 1
        return counts


class AnalysisError(Exception):
    """An image that decodes but cannot be karyotyped: a named ``reason`` and a sentence for people."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
