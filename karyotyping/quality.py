"""QC metrics: how suitable a metaphase image is for karyotyping, and what keeps it from being better."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from karyotyping.arrays import Grey, Mask
from karyotyping.image.normalise import Normalised
from karyotyping.model import Chromosome, Quality, QualityFlag
from karyotyping.nomenclature.classes import NORMAL_COUNT
from karyotyping.segmentation.result import Segmentation

_COUNT_TOLERANCE = 6.0
"""Chromosomes too many or too few that lower the score to 1/e."""
_SHARP = 0.12
"""Focus beyond which an image is no better for being sharper."""
_OUT_OF_FOCUS, _LOW_CONTRAST, _UNSURE = 0.03, 0.08, 0.35
_FEWEST, _MOST = 35, 60
_CROWDED = 2.0
"""Hull area over chromosome area below which chromosomes lie too close to be told apart."""


def measure_quality(normalised: Normalised, segmentation: Segmentation, chromosomes: Sequence[Chromosome]) -> Quality:
    """QC metrics of one image.

    Args:
        normalised: the image at its original scale.
        segmentation: what was found in it.
        chromosomes: the same, measured and classified.
    """
    covered = _covered(normalised.stain.shape, segmentation)
    count = len(chromosomes)
    focus, spread = _focus(normalised.stain, covered), _spread(covered)
    edge_contacts = sum("cut_by_border" in c.flags for c in chromosomes)
    raised: dict[QualityFlag, bool] = {
        "out_of_focus": focus < _OUT_OF_FOCUS,
        "low_contrast": normalised.contrast < _LOW_CONTRAST,
        "crowded": spread < _CROWDED,
        "cut_by_border": edge_contacts > 0,
    }
    readable = measure_crop_quality(chromosomes)
    return Quality(
        chromosome_count=count,
        contrast_polarity=normalised.polarity,
        focus=focus,
        contrast=normalised.contrast,
        noise=normalised.noise,
        background_unevenness=normalised.background_unevenness,
        spread=spread,
        chromosome_width=normalised.width,
        cluster_count=segmentation.cluster_count,
        overlap_count=segmentation.overlap_count,
        nucleus_count=segmentation.nucleus_count,
        debris_count=segmentation.debris_count,
        edge_contact_count=edge_contacts,
        class_confidence=readable.class_confidence,
        score=readable.score * min(1.0, focus / _SHARP) ** 0.5,
        flags=readable.flags | {flag for flag, is_raised in raised.items() if is_raised},
    )


def measure_crop_quality(chromosomes: Sequence[Chromosome]) -> Quality:
    """QC metrics of a cell of which there are only chromosomes, cut out: what belongs to a photograph is 0."""
    count = len(chromosomes)
    confidence = float(np.median([c.class_score for c in chromosomes])) if count else 0.0
    whole = float(np.mean([c.score for c in chromosomes])) if count else 0.0
    raised: dict[QualityFlag, bool] = {
        "too_few": count < _FEWEST,
        "too_many": count > _MOST,
        "unsure_classes": confidence < _UNSURE,
    }
    complete = float(np.exp(-abs(count - NORMAL_COUNT) / _COUNT_TOLERANCE))
    return Quality(
        chromosome_count=count,
        contrast_polarity="dark_on_light",
        focus=0.0,
        contrast=0.0,
        noise=0.0,
        background_unevenness=0.0,
        spread=0.0,
        chromosome_width=0.0,
        cluster_count=0,
        overlap_count=0,
        nucleus_count=0,
        debris_count=0,
        edge_contact_count=0,
        class_confidence=confidence,
        score=complete * whole * (0.5 + 0.5 * confidence),
        flags=frozenset(flag for flag, is_raised in raised.items() if is_raised),
    )


def _covered(shape: tuple[int, ...], segmentation: Segmentation) -> Mask:
    covered = np.zeros(shape[:2], bool)
    for instance in segmentation.instances:
        covered[instance.region().pixels(shape)] = True
    return covered


def _focus(stain: Grey, covered: Mask) -> float:
    """Mean squared gradient of the stain on and just around the chromosomes; stain is relative to their contrast."""
    if not covered.any():
        return 0.0
    around = cv2.dilate(covered.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    dx, dy = (cv2.Scharr(stain, cv2.CV_32F, i, 1 - i, scale=1 / 32) for i in (1, 0))
    return float(np.mean(dx[around] ** 2 + dy[around] ** 2)) * 4.0


def _spread(covered: Mask) -> float:
    if not covered.any():
        return 0.0
    points = cv2.findNonZero(covered.astype(np.uint8))
    return float(cv2.contourArea(cv2.convexHull(points)) / covered.sum())
