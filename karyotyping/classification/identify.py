"""Identification of the chromosomes of a cell from detections, measurements and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Mask
from karyotyping.chromosome.measure import Measurement
from karyotyping.classification.assignment import Assignment, assign
from karyotyping.classification.prediction import Prediction
from karyotyping.model import Chromosome, ChromosomeFlag, Orientation, Quality, count_classes, encode_mask
from karyotyping.nomenclature.iscn import format_iscn

_MIN_BEND = 1.3  # length over the distance between the tips; above it a chromosome has the flag ``bent``


@dataclass(frozen=True, slots=True)
class Detection:
    """One chromosome as detected in a metaphase image."""

    mask: Mask
    """(H, W) over the whole image."""
    score: float = 1.0
    """Probability from its outline that it is one whole chromosome, 0..1."""
    flags: frozenset[ChromosomeFlag] = frozenset()


def identify(
    detections: Sequence[Detection],
    measured: Sequence[Measurement],
    predictions: Sequence[Prediction],
    pictures: Sequence[NDArray[np.uint8]],
) -> tuple[Chromosome, ...]:
    """Return the chromosomes of one cell, longest first, with their assigned classes.

    The score of a detection is multiplied by the predicted probability of a whole chromosome.

    Args:
        detections: (N,) masks, scores and flags.
        measured: (N,) measurements of the same chromosomes.
        predictions: (N,) predictions for the same chromosomes.
        pictures: (N,) pictures of the same chromosomes, see :func:`karyotyping.chromosome.picture.draw_cell`.
    """
    rescored = [
        replace(detection, score=detection.score * (1.0 - prediction.unknown))
        for detection, prediction in zip(detections, predictions, strict=True)
    ]
    # Detection scores rank outlines and are not calibrated: in the assignment they would drop true chromosomes.
    assignments = assign_cell(predictions)
    longest_first = sorted(range(len(measured)), key=lambda k: -measured[k].length)
    return tuple(
        _chromosome(ordinal, rescored[k], measured[k], predictions[k], assignments[k], picture=pictures[k])
        for ordinal, k in enumerate(longest_first)
    )


def assign_cell(predictions: Sequence[Prediction]) -> tuple[Assignment, ...]:
    """Assign the chromosomes of one cell, scored by the probability of a whole chromosome."""
    return assign([item.log_probabilities for item in predictions], [1.0 - item.unknown for item in predictions])


def cell_iscn(chromosomes: Sequence[Chromosome], quality: Quality) -> str | None:
    """Return the ISCN of a cell; None if it has too many chromosomes for a metaphase."""
    if "too_many" in quality.flags:
        return None
    counts = count_classes(chromosomes)
    unidentified = len(chromosomes) - sum(counts.values())
    return format_iscn(counts, unidentified=unidentified, unexplained=quality.unexplained_objects)


def _chromosome(
    ordinal: int,
    detection: Detection,
    measured: Measurement,
    prediction: Prediction,
    assignment: Assignment,
    *,
    picture: NDArray[np.uint8],
) -> Chromosome:
    left, top, width, height = (int(n) for n in cv2.boundingRect(detection.mask.view(np.uint8)))
    orientation = prediction.orientation(assignment.class_id)
    bent: frozenset[ChromosomeFlag] = frozenset({"bent"} if measured.bend > _MIN_BEND else ())
    return Chromosome(
        ordinal=ordinal,
        box=(left, top, width, height),
        mask=encode_mask(detection.mask),
        score=detection.score,
        class_id=assignment.class_id,
        class_score=assignment.score,
        top5=prediction.top5,
        length=measured.length,
        width=measured.width,
        centromere_index=_centromere_index(measured, orientation),
        orientation=orientation,
        straightened=picture,
        profile=measured.profile,
        embedding=prediction.embedding,
        flags=detection.flags | bent,
    )


def _centromere_index(measured: Measurement, orientation: Orientation) -> float | None:
    """Return the p arm's share of the length; the shorter arm's without an orientation."""
    if measured.centromere is None or orientation == "unknown":
        return measured.centromere_index
    return measured.centromere if orientation == "p_up" else 1.0 - measured.centromere
