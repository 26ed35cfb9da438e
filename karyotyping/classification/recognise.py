"""What the embedding network recognises in regions that may be one whole chromosome."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from karyotyping.arrays import Floats
from karyotyping.chromosome.crop import crop_region
from karyotyping.chromosome.measure import Measurement, measure_cell, measure_in_cell, typical_width
from karyotyping.classification.embedder import CellScale, appearance, cell_scale, predict
from karyotyping.classification.size_prior import CellSizes, class_evidence
from karyotyping.image.normalise import Normalised
from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.recognition import Recognised
from models.engine import Engine

_MIN_LENGTH = 1e-3  # px; a speck may have no length
_MIN_CONFIDENCE = 1e-3  # confidences are clipped to [1e-3, 1 - 1e-3] before log odds


def recognise(image: Normalised, regions: Sequence[Contour], members: Sequence[int], *, embedder: Engine) -> Recognised:
    """Classify regions as if each were a chromosome of one cell.

    Args:
        image: the normalised image.
        regions: (N,) regions of the image, not empty ones.
        members: indices of the regions that give the scale of the cell; not empty.
        embedder: the network.
    """
    items, scale = measure_regions(image, regions, members)
    predictions = predict(np.stack([appearance(item, scale) for item in items]), embedder)
    classes = np.stack([item.log_probabilities for item in predictions])
    size = np.array([item.size for item in items])
    sizes = CellSizes.of(classes[list(members)], size[list(members)])
    confidence = np.clip(np.exp(classes.max(axis=1)), _MIN_CONFIDENCE, 1 - _MIN_CONFIDENCE)
    return Recognised(
        unknown=np.array([item.unknown for item in predictions]),
        confidence=np.log(confidence / (1 - confidence)),
        classes=class_evidence(classes, size, sizes),
        length=_relative([item.length for item in items], members),
        width=_relative([item.width for item in items], members),
    )


def measure_regions(
    image: Normalised, regions: Sequence[Contour], members: Sequence[int]
) -> tuple[list[Measurement], CellScale]:
    """Measure regions as if each were a chromosome of one cell.

    Args:
        image: the normalised image.
        regions: (N,) regions of the image, not empty ones.
        members: indices of the regions that give the scale of the cell; not empty.

    Returns:
        The measurements (N,), and the scale of the cell.
    """
    outlines = [crop_region(image.stain, region) for region in regions]
    measured = dict(zip(members, measure_cell([outlines[k] for k in members]), strict=True))
    cell = list(measured.values())
    typical = typical_width(cell)
    measured |= {k: measure_in_cell(*outlines[k], typical) for k in range(len(regions)) if k not in measured}
    return [measured[k] for k in range(len(regions))], cell_scale(cell)


def _relative(values: Sequence[float], members: Sequence[int]) -> Floats:
    """Return the logarithms (N,) of values over the median of the members."""
    positive = np.maximum(values, _MIN_LENGTH)
    relative: Floats = np.log(positive / np.median(positive[list(members)]))
    return relative
