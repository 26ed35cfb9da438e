"""What the embedding network recognises in regions that may be one whole chromosome."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from karyotyping.arrays import Floats, Grey, Mask
from karyotyping.chromosome.crop import trim_halo
from karyotyping.chromosome.measure import Measurement, measure_cell, measure_in_cell, typical_width
from karyotyping.classification.embedder import appearance, cell_scale, predict
from karyotyping.classification.size_prior import CellSizes, class_evidence
from karyotyping.image.normalise import Normalised
from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.recognition import Recognised
from models.engine import Engine

_MIN_CONFIDENCE = 1e-3  # confidences are clipped to [1e-3, 1 - 1e-3] before log odds


def recognise(
    image: Normalised, chosen: Sequence[Contour], regions: Sequence[Contour], *, embedder: Engine
) -> Recognised:
    """Classify regions as if each were a chromosome of the cell of ``chosen``.

    Args:
        image: the normalised image.
        chosen: chromosomes that give the scale of the cell; not empty.
        regions: (N,) regions of the image, not empty ones.
        embedder: the network.
    """
    cell = measure_cell([_outline(image, region) for region in chosen])
    typical = typical_width(cell)
    measured = [measure_in_cell(*_outline(image, region), typical) for region in regions]
    scale = cell_scale(cell)
    predictions = predict(np.stack([appearance(item, scale) for item in (*cell, *measured)]), embedder)
    classes = np.stack([item.log_probabilities for item in predictions])
    sizes = CellSizes.of(classes[: len(cell)], _sizes(cell))
    own = classes[len(cell) :]
    confidence = np.clip(np.exp(own.max(axis=1)), _MIN_CONFIDENCE, 1 - _MIN_CONFIDENCE)
    return Recognised(
        unknown=np.array([item.unknown for item in predictions[len(cell) :]]),
        confidence=np.log(confidence / (1 - confidence)),
        classes=class_evidence(own, _sizes(measured), sizes),
        length=np.log([item.length for item in measured]) - np.log(np.median([item.length for item in cell])),
        width=np.log([item.width for item in measured]) - np.log(np.median([item.width for item in cell])),
    )


def _outline(image: Normalised, region: Contour) -> tuple[Grey, Mask]:
    """Return the stain (h, w) and the mask (h, w) of a region without its halo."""
    stain = region.crop(image.stain)
    return stain, trim_halo(stain, region.mask)


def _sizes(measured: Sequence[Measurement]) -> Floats:
    return np.array([item.size for item in measured])
