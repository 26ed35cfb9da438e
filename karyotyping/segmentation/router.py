"""What a contour holds, by the router network: models 1 to 3 of KaryoXpert in one (Chen et al. 2024, section 3.3.2).

The constants and ``describe`` are the contract between training and runtime: both build the network's inputs here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Grey, Mask
from karyotyping.segmentation.contours import Contour, ninth_decile
from models.engine import Engine

ROUTER = "router"
"""Name of the weights in the registry."""

ROUTES: tuple[str, ...] = ("single", "cluster", "chromosome_with_noise", "noise", "part")
"""What a region can be, in the order of the network's outputs. The paper's four, and ``part``: less than one whole
chromosome, which a region becomes when a cut was wrong."""

SINGLE, CLUSTER, WITH_NOISE, NOISE, PART = range(len(ROUTES))

SIDE = 64
"""Side of the square that a region is resized to, its longer side filling all but two pixels at each end."""

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
"""Numbers that resizing loses. Sides are those of the smallest rotated rectangle around the region."""

_BATCH = 256


@dataclass(frozen=True, slots=True)
class Regions:
    """Regions of one image, and what they are measured by."""

    contours: Sequence[Contour]
    """Contours, or pieces of contours."""
    stain: Grey
    """(H, W) of ``normalise``."""
    width: float
    """Chromosome width, pixels."""
    typical_area: float
    """Median area of a chromosome, pixels."""


def route(engine: Engine, images: Sequence[Regions]) -> list[NDArray[np.float32]]:
    """Probabilities (N, 5) of ``ROUTES`` for the N regions of each image; images share the network's batches."""
    together = ((region, image) for image in images for region in image.contours)
    answers = [np.zeros((0, len(ROUTES)), np.float32)]
    while batch := list(islice(together, _BATCH)):
        described = [
            describe(region.crop(image.stain), region.mask, image.width, image.typical_area) for region, image in batch
        ]
        outputs = engine.infer(
            {
                "appearance": np.array([a for a, _ in described], np.float32),
                "geometry": np.array([g for _, g in described], np.float32),
            }
        )
        answers.append(outputs["probabilities"])
    ends = np.cumsum([len(image.contours) for image in images])
    return np.split(np.concatenate(answers), ends)[:-1]


def describe(stain: Grey, mask: Mask, width: float, typical_area: float) -> tuple[Grey, NDArray[np.float32]]:
    """The network's view of one region: its stain and mask (2, SIDE, SIDE), and ``GEOMETRY``.

    Args:
        stain: (h, w) crop around the region.
        mask: (h, w) of the region; not empty.
        width: chromosome width, pixels.
        typical_area: median area of a chromosome, pixels.
    """
    return _appearance(stain, mask), _geometry(stain, mask, width, typical_area)


def _appearance(stain: Grey, mask: Mask) -> Grey:
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    planes = np.dstack([stain * mask, mask]).astype(np.float32)[y : y + h, x : x + w]
    zoom = (SIDE - 4) / max(w, h)
    size = max(1, round(w * zoom)), max(1, round(h * zoom))
    resized = cv2.resize(planes, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)
    result = np.zeros((2, SIDE, SIDE), np.float32)
    left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
    result[:, top : top + size[1], left : left + size[0]] = np.moveaxis(resized, 2, 0)
    return result


def _geometry(stain: Grey, mask: Mask, width: float, typical_area: float) -> NDArray[np.float32]:
    padded = np.pad(mask, 1).astype(np.uint8)
    outlines, _ = cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(np.concatenate(outlines))
    shorter, longer = sorted(side + 1.0 for side in cv2.minAreaRect(hull)[1])
    area = float(np.count_nonzero(mask))
    hull_area = cv2.contourArea(hull) + 0.5 * cv2.arcLength(hull, True) + 1.0  # of pixels, not of their centres (Pick)
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
