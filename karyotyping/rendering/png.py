"""PNG files of rendered images."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from karyotyping.arrays import Pixels


def encode_png(rgb: NDArray[np.uint8]) -> bytes:
    """Return an (H, W, 3) RGB image as PNG with a palette of 256 colours.

    Grey levels with a few colours lose no visible detail, and the file has a tenth of the size.
    """
    target = io.BytesIO()
    Image.fromarray(rgb).quantize(256, method=Image.Quantize.FASTOCTREE).save(target, "PNG")
    return target.getvalue()


def encode_grey(pixels: Pixels) -> bytes:
    """Return an (H, W) grey image as PNG of 8 bits, its range stretched to black and white."""
    target = io.BytesIO()
    Image.fromarray(eight_bit(pixels)).save(target, "PNG")
    return target.getvalue()


def eight_bit(pixels: Pixels) -> NDArray[np.uint8]:
    """Return (H, W) ``pixels`` with their range stretched to 0..255.

    >>> eight_bit(np.array([[1000, 3000]], np.uint16)).tolist()
    [[0, 255]]
    """
    low, high = float(pixels.min()), float(pixels.max())
    return np.round((pixels.astype(np.float32) - low) * (255.0 / max(high - low, 1.0))).astype(np.uint8)
