"""Pictures as files."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LIGHT = 2


def png(rgb: NDArray[np.uint8]) -> bytes:
    """An (H, W, 3) picture as PNG; packed lightly, as a tight packing would take longer than the analysis is worth."""
    target = io.BytesIO()
    Image.fromarray(rgb).save(target, "PNG", compress_level=_LIGHT)
    return target.getvalue()
