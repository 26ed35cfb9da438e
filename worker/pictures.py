"""Pictures as files."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def png(rgb: NDArray[np.uint8]) -> bytes:
    """An (H, W, 3) picture as PNG."""
    target = io.BytesIO()
    Image.fromarray(rgb).save(target, "PNG")
    return target.getvalue()
