"""Centromere of a straightened chromosome: its clearest constriction.

Two profiles along the medial axis are averaged, as neither is reliable alone. One is the width of the mask, which
separated chromatids distort. The other is the shape profile, the second moment of the stain about the medial axis. It
depends less on the outline (Piper & Granum 1989, DOI 10.1002/cyto.990100303). A short arm of stalk and satellite never
reaches full width. Both ends are therefore extended at full width, so that a narrow end is a constriction too.
"""

from __future__ import annotations

import cv2
import numpy as np

from karyotyping.arrays import Bools, Floats, Floats32

_SAMPLES = 64  # along the medial axis
_SMOOTHING_SIGMA = 1.5  # samples
_SMOOTHING_WINDOW = 13  # samples
_SHOULDER_RANGE = 12  # samples on either side that are searched for the shoulder of a constriction
_ROUND_END = 0.65  # widths over which an end reaches full width, as a quarter of an ellipse
_MIN_END_WIDTH = 0.35  # share of the full width, 0..1
_EXTENSION_WIDTH = 0.95  # width of the extension of both ends, as a share of the median width
_END_SAMPLES = (
    9  # samples at either end without a centromere; the most terminal one (class 13) is at 0.18 of the length
)
_MIN_DEPTH = 0.05  # depth of a centromere's constriction, as a share of the median width
_BOUNDARY_SHARE = 0.7  # share of the maximum depth at which a constriction begins and ends


def constriction_profile(sections: Floats32, inside: Bools) -> Floats32:
    """Return the depth of the constriction along a chromosome.

    Args:
        sections: (L, W) stain across the medial axis, from one tip to the other.
        inside: (L, W) membership of the chromosome.

    Returns:
        (64,) by how much the chromosome is narrower than on both sides, as a share of its median width, 0..1.
    """
    offsets = np.arange(sections.shape[1]) - (sections.shape[1] - 1) / 2
    stain = np.maximum(sections, 0) * inside
    mass, moment, second = (stain @ np.stack([np.ones_like(offsets), offsets, offsets**2], axis=1)).T
    mass = np.maximum(mass, 1e-6)
    spread = np.sqrt(np.maximum(second / mass - (moment / mass) ** 2, 0.0))
    width = np.count_nonzero(inside, axis=1)
    return _constriction_depth(np.stack([width, spread]) / _unconstricted_width(len(sections), float(width.mean())))


def locate_centromere(constriction: Floats32) -> float | None:
    """Return the position of the deepest constriction, or None if there is none.

    If a whole end is narrow, the centromere is where the narrow part ends.

    Args:
        constriction: (64,) from ``constriction_profile``.

    Returns:
        Distance from the upper end as a share of the length, 0..1.
    """
    position = int(constriction[_END_SAMPLES:-_END_SAMPLES].argmax()) + _END_SAMPLES
    if constriction[position] < _MIN_DEPTH:
        return None
    outside = np.flatnonzero(constriction < _BOUNDARY_SHARE * constriction[position])
    first = int(outside[outside < position].max(initial=-1)) + 1
    last = int(outside[outside > position].min(initial=_SAMPLES)) - 1
    if first <= _END_SAMPLES and last < _SAMPLES // 2:
        position = last
    elif last >= _SAMPLES - 1 - _END_SAMPLES and first >= _SAMPLES // 2:
        position = first
    return (position + 0.5) / _SAMPLES


def _unconstricted_width(length: int, width: float) -> Floats:
    """Return the relative width (length,) of a chromosome with round ends and no constriction."""
    positions = np.arange(length) + 0.5
    into = np.minimum(np.minimum(positions, length - positions) / max(_ROUND_END * width, 1e-6), 1.0)
    share: Floats = np.maximum(np.sqrt(into * (2 - into)), _MIN_END_WIDTH)
    return share


def _constriction_depth(profiles: Floats) -> Floats32:
    """Return the depth (64,) of the mean normalised profile (k, L) below its lower shoulder."""
    length = profiles.shape[1]
    positions = (np.arange(_SAMPLES) + 0.5) / _SAMPLES * length - 0.5
    typical = np.sort(profiles, axis=1)[:, length // 2, None]
    relative = (profiles / np.maximum(typical, 1e-6)).mean(axis=0)
    smooth = cv2.GaussianBlur(
        np.interp(positions, np.arange(length), relative)[None],
        (_SMOOTHING_WINDOW, 1),
        _SMOOTHING_SIGMA,
        borderType=cv2.BORDER_REPLICATE,
    )
    shoulder_above, shoulder_below = (
        cv2.dilate(
            smooth,
            np.ones((1, _SHOULDER_RANGE)),
            anchor=(anchor, 0),
            borderType=cv2.BORDER_CONSTANT,
            borderValue=_EXTENSION_WIDTH,
        )
        for anchor in (_SHOULDER_RANGE - 1, 0)
    )
    depth = np.minimum(shoulder_above, shoulder_below) - smooth
    return np.asarray(np.clip(depth[0], 0.0, 1.0), np.float32)
