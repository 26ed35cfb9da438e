"""Where a straightened chromosome is pinched: its centromere.

Two profiles are read together, as neither is reliable alone: the width of the mask, which chromatids lying apart spoil,
and the shape profile, the second moment of the stain about the medial axis (Piper & Granum 1989, doi
10.1002/cyto.990100303), which outlines spoil less.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SAMPLES = 64
_SMOOTHING = 1.5
_WINDOW = 13
_SHOULDER = 12
_CAP = 5
_FAINTEST = 0.04


def constriction(sections: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How much narrower a chromosome is at each of 64 places than on both sides of it, 0..1.

    Args:
        sections: (L, W) stain across the medial axis, from one tip to the other.
        inside: (L, W) what of it is chromosome.
    """
    offsets = np.arange(sections.shape[1]) - (sections.shape[1] - 1) / 2
    stain = np.maximum(sections, 0) * inside
    mass, moment, second = (stain @ np.vander(offsets, 3, increasing=True)).T
    mass = np.maximum(mass, 1e-6)
    spread = np.sqrt(np.maximum(second / mass - (moment / mass) ** 2, 0.0))
    width = np.count_nonzero(inside, axis=1)
    return np.asarray(_pinched(np.stack([width, spread])).mean(axis=0), np.float32)


def centromere(pinched: NDArray[np.float32]) -> float | None:
    """Position of the clearest constriction, a fraction of the length from the upper end, or None if there is none."""
    inner = pinched[_CAP:-_CAP]
    place = int(np.argmax(inner))
    if inner[place] < _FAINTEST:
        return None
    return (place + _CAP + 0.5) / len(pinched)


def _pinched(profiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Depth of each profile (k, L) below the lower of the shoulders on either side, relative to its median, (k, 64)."""
    length = profiles.shape[1]
    places = (np.arange(_SAMPLES) + 0.5) / _SAMPLES * length - 0.5
    sampled = np.stack([np.interp(places, np.arange(length), profile) for profile in profiles])
    smooth = cv2.GaussianBlur(sampled, (_WINDOW, 1), _SMOOTHING, borderType=cv2.BORDER_REPLICATE)
    before, after = (
        cv2.dilate(smooth, np.ones((1, _SHOULDER)), anchor=(anchor, 0), borderType=cv2.BORDER_REPLICATE)
        for anchor in (_SHOULDER - 1, 0)
    )
    depth = np.minimum(before, after) - smooth
    typical = np.sort(smooth, axis=1)[:, _SAMPLES // 2, None]
    return np.clip(depth / np.maximum(typical, 1e-6), 0.0, 1.0)
