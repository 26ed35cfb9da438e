"""QC metrics of a metaphase image: suitability for karyotyping, and defects as flags."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from karyotyping.arrays import Grey, Mask
from karyotyping.expected_edits import Evidence, expected_edits
from karyotyping.image.normalise import Normalised
from karyotyping.model import Chromosome, Quality, QualityFlag, count_classes
from karyotyping.nomenclature.classes import NORMAL_COUNT
from karyotyping.nomenclature.iscn import has_too_many
from karyotyping.segmentation.result import Segmentation

_COUNT_TOLERANCE = 6.0  # chromosomes; a deviation from the normal count by this lowers the score to 1/e
_SHARP_FOCUS = 0.12  # focus above which the score does not increase
_MIN_FOCUS = 0.03  # below it: ``out_of_focus``
_MIN_CONTRAST = 0.08  # below it: ``low_contrast``
_MIN_CONFIDENCE = 0.35  # median class score 0..1, below it: ``unsure_classes``
_MIN_COUNT = 35  # chromosomes, below it: ``too_few``
_MIN_SPREAD = 2.0  # hull area over chromosome area, below it: ``crowded``


def measure_quality(normalised: Normalised, segmentation: Segmentation, chromosomes: Sequence[Chromosome]) -> Quality:
    """Return the QC metrics of one image.

    Args:
        normalised: the image at its original scale.
        segmentation: its detected instances and counts.
        chromosomes: the same instances, measured and classified.
    """
    foreground = _foreground(normalised.stain.shape, segmentation)
    focus, spread = _focus(normalised.stain, foreground), _spread(foreground)
    edge_contacts = sum("cut_by_border" in c.flags for c in chromosomes)
    unexplained = sum(rest.kind == "uncertain" for rest in segmentation.rests)
    raised: dict[QualityFlag, bool] = {
        "out_of_focus": focus < _MIN_FOCUS,
        "low_contrast": normalised.contrast < _MIN_CONTRAST,
        "crowded": spread < _MIN_SPREAD,
        "cut_by_border": edge_contacts > 0,
        "unexplained_objects": unexplained > 0,
    }
    crop_quality = measure_crop_quality(chromosomes)
    outline_edits, class_edits = expected_edits(Evidence.of(chromosomes, segmentation.overlap_count))
    return Quality(
        chromosome_count=crop_quality.chromosome_count,
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
        unexplained_objects=unexplained,
        edge_contact_count=edge_contacts,
        class_confidence=crop_quality.class_confidence,
        score=crop_quality.score * min(1.0, focus / _SHARP_FOCUS) ** 0.5,
        flags=crop_quality.flags | {flag for flag, is_raised in raised.items() if is_raised},
        outline_edits=outline_edits,
        class_edits=class_edits,
    )


def measure_crop_quality(chromosomes: Sequence[Chromosome]) -> Quality:
    """Return the QC metrics of a cell of crops; metrics of the metaphase image are 0."""
    count = len(chromosomes)
    confidence = float(np.median([c.class_score for c in chromosomes])) if count else 0.0
    whole = float(np.mean([c.score for c in chromosomes])) if count else 0.0
    raised: dict[QualityFlag, bool] = {
        "too_few": count < _MIN_COUNT,
        "too_many": has_too_many(counts := count_classes(chromosomes), unidentified=count - sum(counts.values())),
        "unsure_classes": confidence < _MIN_CONFIDENCE,
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
        unexplained_objects=0,
        edge_contact_count=0,
        class_confidence=confidence,
        score=complete * whole * (0.5 + 0.5 * confidence),
        flags=frozenset(flag for flag, is_raised in raised.items() if is_raised),
    )


def _foreground(shape: tuple[int, ...], segmentation: Segmentation) -> Mask:
    """Return the union (H, W) of all instances."""
    foreground = np.zeros(shape[:2], bool)
    for instance in segmentation.instances:
        foreground[instance.region().pixels(shape)] = True
    return foreground


def _focus(stain: Grey, foreground: Mask) -> float:
    """Return the mean squared gradient of the normalised stain on and around chromosomes."""
    if not foreground.any():
        return 0.0
    around = cv2.dilate(foreground.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    dx, dy = (cv2.Scharr(stain, cv2.CV_32F, i, 1 - i, scale=1 / 32) for i in (1, 0))
    return float(np.mean(dx[around] ** 2 + dy[around] ** 2)) * 4.0


def _spread(foreground: Mask) -> float:
    """Return the convex hull area of the chromosomes over their area; 0 without any."""
    if not foreground.any():
        return 0.0
    points = cv2.findNonZero(foreground.astype(np.uint8))
    return float(cv2.contourArea(cv2.convexHull(points)) / foreground.sum())
