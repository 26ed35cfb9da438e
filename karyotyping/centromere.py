"""Where a straightened chromosome is pinched: its centromere.

Two profiles are read together, as neither is reliable alone: the width of the mask, which chromatids lying apart spoil,
and the shape profile, the second moment of the stain about the medial axis (Piper & Granum 1989, doi
10.1002/cyto.990100303), which outlines spoil less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

_SAMPLES = 64
_SMOOTHING = 1.5
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
    stain = np.where(inside, np.maximum(sections, 0.0), 0.0)
    mass = np.maximum(stain.sum(axis=1), 1e-6)
    middle = (stain * offsets).sum(axis=1) / mass
    spread = np.sqrt(np.maximum((stain * offsets**2).sum(axis=1) / mass - middle**2, 0.0))
    width = inside.sum(axis=1).astype(np.float64)
    pinched = _pinched(width) + _pinched(spread)
    return (pinched / 2).astype(np.float32)


def centromere(pinched: NDArray[np.float32]) -> float | None:
    """Position of the clearest constriction, a fraction of the length from the upper end, or None if there is none."""
    inner = pinched[_CAP:-_CAP]
    place = int(np.argmax(inner))
    if inner[place] < _FAINTEST:
        return None
    return (place + _CAP + 0.5) / len(pinched)


def _pinched(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Depth of ``values`` below the lower of the shoulders on either side, relative to the typical value, (64,)."""
    places = (np.arange(_SAMPLES) + 0.5) / _SAMPLES * len(values) - 0.5
    smooth = gaussian_filter1d(np.interp(places, np.arange(len(values)), values), _SMOOTHING, mode="nearest")
    before = maximum_filter1d(smooth, _SHOULDER, origin=_SHOULDER // 2 - 1, mode="nearest")
    after = maximum_filter1d(smooth, _SHOULDER, origin=-(_SHOULDER // 2), mode="nearest")
    depth: NDArray[np.float64] = np.minimum(before, after) - smooth
    return np.clip(depth / max(float(np.median(smooth)), 1e-6), 0.0, 1.0)
