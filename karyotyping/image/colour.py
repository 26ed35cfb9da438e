"""Grey images from stored samples: colours, palettes, floating point, orientation."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from karyotyping.image.bounds import ImageRejected

MAX_16_BIT = 65_535
DOMINANT_CHANNEL_RATIO = 2  # spread of a channel over that of the luma


def grey_of(samples: NDArray[Any], colours: int, *, has_alpha: bool) -> NDArray[Any]:
    """Return the grey image of grey or RGB samples.

    Args:
        samples: (H, W, C) uint8 or uint16; channels after colours and alpha are ignored.
        colours: 1 for grey, 3 for RGB.
        has_alpha: whether the channel after the colours is alpha. Alpha that is the same everywhere is ignored.

    Returns:
        (H, W) of the same dtype.

    Raises:
        ImageRejected: ``transparent_image``.

    >>> grey_of(np.full((1, 2, 3), 7, np.uint8), 3, has_alpha=False).tolist()
    [[7, 7]]
    """
    if has_alpha:
        alpha = samples[..., colours]
        if (alpha != alpha[0, 0]).any():
            raise ImageRejected("transparent_image")
    return np.ascontiguousarray(samples[..., 0]) if colours == 1 else _grey_of_rgb(samples[..., :3])


def grey_of_palette(indices: NDArray[np.uint8], palette: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the grey image of a palette image.

    Args:
        indices: (H, W) uint8; those beyond the palette mean its last entry.
        palette: (N, 3) RGB, uint8, N from 1 to 256. Entries that occur nowhere in ``indices`` are ignored.

    Returns:
        (H, W) uint8.

    >>> palette = np.array([[9, 9, 9], [4, 4, 4], [255, 0, 0]], np.uint8)
    >>> grey_of_palette(np.array([[1, 0]], np.uint8), palette).tolist()
    [[4, 9]]
    """
    indices = np.ascontiguousarray(indices)
    table = palette[np.minimum(np.arange(256), len(palette) - 1)]
    counts = cv2.calcHist([indices], [0], None, [256], [0, 256])
    used = table[counts.ravel() > 0]
    levels = [cv2.LUT(indices, np.ascontiguousarray(table[:, colour])) for colour in range(3)]
    return levels[0] if (used == used[:, :1]).all() else _grey_of_rgb(np.dstack(levels))


def rgb_of(image: Image.Image) -> NDArray[Any]:
    """Return the (H, W, 3) uint8 RGB of an image in CMYK, CIELAB, HSV or YCbCr."""
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.applyTransform(image, ImageCms.buildTransform(lab, srgb, "LAB", "RGB")) or image
    return np.asarray(image.convert("RGB"))


def integers_of(samples: NDArray[Any]) -> NDArray[Any]:
    """Return floating-point samples as uint16, and overwrite them.

    Samples up to 1 are fractions of white. Larger ones are grey levels.

    Args:
        samples: any shape, floating point, from 0 to 65535.

    Raises:
        ImageRejected: ``unsupported_pixel_type`` for samples outside of the range, or not finite.

    >>> integers_of(np.array([0, 0.5, 1])).tolist(), integers_of(np.array([0, 300.0])).tolist()
    ([0, 32768, 65535], [0, 300])
    """
    largest = float(samples.max())
    if not (float(samples.min()) >= 0 and largest <= MAX_16_BIT):  # false for NaN as well
        raise ImageRejected("unsupported_pixel_type", kind="floating point, outside of 0 to 65535")
    samples = samples.astype(np.float32) if samples.dtype.itemsize < 4 else samples
    if largest <= 1:
        samples *= MAX_16_BIT
    np.rint(samples, out=samples)
    levels: NDArray[np.uint16] = samples.astype(np.uint16)
    return levels


def oriented(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return an image turned upright.

    Args:
        pixels: (H, W) as stored.
        orientation: EXIF or TIFF tag 274, 1 to 8; other values mean 1, upright.

    Returns:
        (H, W), or (W, H) for an orientation of 5 to 8.

    >>> oriented(np.array([[1, 2]]), 6).tolist(), oriented(np.array([[1, 2]]), 8).tolist()
    ([[1], [2]], [[2], [1]])
    """
    match orientation:
        case 2:
            pixels = pixels[:, ::-1]
        case 3:
            pixels = pixels[::-1, ::-1]
        case 4:
            pixels = pixels[::-1]
        case 5:
            pixels = pixels.T
        case 6:
            pixels = pixels[::-1].T
        case 7:
            pixels = pixels[::-1, ::-1].T
        case 8:
            pixels = pixels.T[::-1]
    return np.ascontiguousarray(pixels)


def _grey_of_rgb(rgb: NDArray[Any]) -> NDArray[Any]:
    """Return (H, W) grey of (H, W, 3) RGB: the luma (Rec. ITU-R BT.601) or the dominant channel.

    Luma weighs blue by 0.114, so a DAPI image saved in blue would lose most of its contrast. A channel whose standard
    deviation exceeds twice that of the luma is therefore taken instead.
    """
    rgb = np.ascontiguousarray(rgb)
    luma: NDArray[Any] = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    step = max(1, min(luma.shape) // 256)
    spreads = rgb[::step, ::step].std(axis=(0, 1))
    strongest = int(spreads.argmax())
    if spreads[strongest] > DOMINANT_CHANNEL_RATIO * luma[::step, ::step].std():
        return np.ascontiguousarray(rgb[..., strongest])
    return luma
