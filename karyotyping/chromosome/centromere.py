"""Where a straightened chromosome is pinched: its centromere.

Two profiles are read together, as neither is reliable alone: the width of the mask, which chromatids lying apart spoil,
and the shape profile, the second moment of the stain about the medial axis (Piper & Granum 1989, doi
10.1002/cyto.990100303), which outlines spoil less. A short arm that is all stalk and satellite never grows as wide as
the rest; so both ends are taken to go on at full width, and an end that stays narrow is pinched as far as it does.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SAMPLES = 64
_SMOOTHING = 1.5
_WINDOW = 13
_SHOULDER = 12
"""Samples on either side of a place among which its shoulder is sought."""
_ROUND_END = 0.65
"""Widths over which the end of a chromosome grows to its full width, as a quarter of an ellipse."""
_NARROWEST_END = 0.35
_FULL = 0.95
"""Width at which both ends are taken to go on, as a share of the typical one."""
_CAP = 9
"""Samples at either end among which there is none: that of 13 lies nearest to a tip of all human ones, at 0.18."""
_FAINTEST = 0.05
_SHARE = 0.7
"""Share of the depth of a constriction that still belongs to it."""


def constriction(sections: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How much narrower a chromosome is at each of 64 places than on both sides of it, 0..1.

    Args:
        sections: (L, W) stain across the medial axis, from one tip to the other.
        inside: (L, W) what of it is chromosome.
    """
    offsets = np.arange(sections.shape[1]) - (sections.shape[1] - 1) / 2
    stain = np.maximum(sections, 0) * inside
    mass, moment, second = (stain @ np.stack([np.ones_like(offsets), offsets, offsets**2], axis=1)).T
    mass = np.maximum(mass, 1e-6)
    spread = np.sqrt(np.maximum(second / mass - (moment / mass) ** 2, 0.0))
    width = np.count_nonzero(inside, axis=1)
    return _pinched(np.stack([width, spread]) / _round_ends(len(sections), float(width.mean())))


def centromere(pinched: NDArray[np.float32]) -> float | None:
    """Position of the clearest constriction, a fraction of the length from the upper end, or None if there is none.

    Where an end is pinched as a whole, the centromere lies where that ends.
    """
    place = int(pinched[_CAP:-_CAP].argmax()) + _CAP
    if pinched[place] < _FAINTEST:
        return None
    beyond = np.flatnonzero(pinched < _SHARE * pinched[place])
    before = int(beyond[beyond < place].max(initial=-1)) + 1
    after = int(beyond[beyond > place].min(initial=_SAMPLES)) - 1
    if before <= _CAP and after < _SAMPLES // 2:
        place = after
    elif after >= _SAMPLES - 1 - _CAP and before >= _SAMPLES // 2:
        place = before
    return (place + 0.5) / _SAMPLES


def _round_ends(length: int, width: float) -> NDArray[np.float64]:
    """Width at each of ``length`` places of a chromosome that is not pinched, as a share of the full width."""
    places = np.arange(length) + 0.5
    into = np.minimum(np.minimum(places, length - places) / max(_ROUND_END * width, 1e-6), 1.0)
    share: NDArray[np.float64] = np.maximum(np.sqrt(into * (2 - into)), _NARROWEST_END)
    return share


def _pinched(profiles: NDArray[np.float64]) -> NDArray[np.float32]:
    """Depth of the mean of ``profiles`` (k, L), each over its median, below the lower of its two shoulders, (64,)."""
    length = profiles.shape[1]
    places = (np.arange(_SAMPLES) + 0.5) / _SAMPLES * length - 0.5
    typical = np.sort(profiles, axis=1)[:, length // 2, None]
    relative = (profiles / np.maximum(typical, 1e-6)).mean(axis=0)
    smooth = cv2.GaussianBlur(
        np.interp(places, np.arange(length), relative)[None], (_WINDOW, 1), _SMOOTHING, borderType=cv2.BORDER_REPLICATE
    )
    before, after = (
        cv2.dilate(
            smooth, np.ones((1, _SHOULDER)), anchor=(anchor, 0), borderType=cv2.BORDER_CONSTANT, borderValue=_FULL
        )
        for anchor in (_SHOULDER - 1, 0)
    )
    depth = np.minimum(before, after) - smooth
    return np.asarray(np.clip(depth[0], 0.0, 1.0), np.float32)
