"""Classification of contours by the router network.

One network replaces models 1 to 3 of KaryoXpert (Chen et al. 2024, section 3.3.2). Training and runtime both build the
network's inputs by :func:`describe`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np

from karyotyping.arrays import Floats32, Grey, Mask
from karyotyping.segmentation.contours import Contour, ninth_decile
from models.engine import Engine

ROUTER = "router"
"""Name of the weights in the registry."""

ROUTES: tuple[str, ...] = ("single", "cluster", "chromosome_with_noise", "noise", "part")
"""Classes of a region, in the order of the network's outputs.

The first four are the paper's. A ``part`` is less than one whole chromosome, as a wrong cut leaves it.
"""

SINGLE, CLUSTER, WITH_NOISE, NOISE, PART = range(len(ROUTES))

SIDE = 64  # px, side of the network's square input

_MARGIN = 2  # px at each end of the longer side

GEOMETRY: tuple[str, ...] = (
    "log area / width^2",
    "log area / typical area",
    "log longer side / width",
    "log shorter side / width",
    "solidity",
    "log inscribed radius / width",
    "mean stain",
    "9th decile of stain",
)
"""Names of the scalar inputs, which resizing would lose; sides are those of the minimum-area rectangle."""

_BATCH_SIZE = 256  # regions per run of the network


@dataclass(frozen=True, slots=True)
class Regions:
    """Regions of one image, with the image and its scale."""

    contours: Sequence[Contour]
    """Contours or pieces of contours."""
    stain: Grey
    """(H, W) of the normalised image."""
    width: float
    """Chromosome width, pixels."""
    typical_area: float
    """Median area of a chromosome, pixels."""


def route(engine: Engine, images: Sequence[Regions]) -> list[Floats32]:
    """Return the probabilities of ``ROUTES`` for each region; images share batches.

    Returns:
        For each image (N, 5) float32, 0..1, for its N regions.
    """
    regions = ((region, image) for image in images for region in image.contours)
    probabilities = [np.zeros((0, len(ROUTES)), np.float32)]
    while batch := list(islice(regions, _BATCH_SIZE)):
        described = [
            describe(region.crop(image.stain), region.mask, image.width, image.typical_area) for region, image in batch
        ]
        outputs = engine.infer(
            {
                "appearance": np.array([a for a, _ in described], np.float32),
                "geometry": np.array([g for _, g in described], np.float32),
            }
        )
        probabilities.append(outputs["probabilities"])
    ends = np.cumsum([len(image.contours) for image in images])
    return np.split(np.concatenate(probabilities), ends)[:-1]


def describe(stain: Grey, mask: Mask, width: float, typical_area: float) -> tuple[Floats32, Floats32]:
    """Return the network's inputs for one region.

    Args:
        stain: (h, w) crop around the region.
        mask: (h, w) of the region; not empty.
        width: chromosome width, pixels.
        typical_area: median area of a chromosome, pixels.

    Returns:
        (2, SIDE, SIDE) stain and mask, and (8,) values of ``GEOMETRY``.
    """
    return _appearance(stain, mask), _geometry(stain, mask, width, typical_area)


def _appearance(stain: Grey, mask: Mask) -> Floats32:
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    planes = np.dstack([stain * mask, mask]).astype(np.float32)[y : y + h, x : x + w]
    zoom = (SIDE - 2 * _MARGIN) / max(w, h)
    size = max(1, round(w * zoom)), max(1, round(h * zoom))
    resized = cv2.resize(planes, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)
    result = np.zeros((2, SIDE, SIDE), np.float32)
    left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
    result[:, top : top + size[1], left : left + size[0]] = np.moveaxis(resized, 2, 0)
    return result


def _geometry(stain: Grey, mask: Mask, width: float, typical_area: float) -> Floats32:
    padded = np.pad(mask, 1).astype(np.uint8)
    outlines, _ = cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(np.concatenate(outlines))
    shorter, longer = sorted(side + 1.0 for side in cv2.minAreaRect(hull)[1])
    area = float(np.count_nonzero(mask))
    hull_area = cv2.contourArea(hull) + 0.5 * cv2.arcLength(hull, True) + 1.0  # centres to pixels (Pick's theorem)
    radius = float(cv2.distanceTransform(padded, cv2.DIST_L2, 5).max())
    inside = stain[mask]
    return np.array(
        [
            np.log(area / width**2),
            np.log(area / typical_area),
            np.log(longer / width),
            np.log(shorter / width),
            area / hull_area,
            np.log(radius / width),
            inside.mean(),
            ninth_decile(inside),
        ],
        np.float32,
    )
