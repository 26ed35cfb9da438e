"""Kinds of change of a metaphase image that leave its chromosomes as they are.

Each is a function of grey pixels and a random generator. What depends on a file format is encoded, then read by
:func:`karyotyping.image.decode.decode`. To add a kind, add a function to :data:`CHANGES`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Pixels
from karyotyping.image.decode import decode
from karyotyping.image.normalise import normalise

Grey8 = NDArray[np.uint8]
"""(H, W) grey levels."""
Change = Callable[[Grey8, np.random.Generator], Pixels]
"""Returns a changed copy of an image; the shape may differ."""

WHITE = 255
FRAME_DISTANCE = 3  # px, of the frame from the border
BAND_SHARE = 0.12  # of the height, for each black band
MARGIN_SHARE = 0.25  # of a side, for each white margin
HOT_PIXELS = 20  # pixels at the largest value
HOT_PIXELS_16_BIT = 3  # pixels at the largest value of 16 bits
STRAY_LIGHT = 64  # grey levels, from the left to the right border
VIGNETTE = 0.5  # loss of light in the corners, 0..1
CAST = (0.65, 0.9, 1.0)  # blue, green, red over grey, 0..1
BLUR_SIGMA = 1.5  # px
NOISE_SIGMA = 8.0  # grey levels, standard deviation
CLIPPED_SHARE = 0.02  # of the pixels, at each end of the range
DUST_SPECKS = 40
DUST_RADIUS = (1, 4)  # px, least and largest
DUST_OPACITY = 0.6  # 0..1
MIN_CELL_AREA = 30  # px, of what a crop keeps
CROP_DISTANCE = 6  # px, of the crop's border from the cells


def _ink(grey: Grey8) -> int:
    """Return black on a light background, else white."""
    return 0 if np.median(grey) > WHITE / 2 else WHITE


def _rounded(levels: NDArray[np.floating]) -> Grey8:
    return np.asarray(np.clip(np.rint(levels), 0, WHITE), np.uint8)


def _decoded(extension: str, pixels: NDArray[np.uint8] | NDArray[np.uint16], *options: int) -> Pixels:
    """Return grey or BGR pixels as they are after a file of the format of ``extension``."""
    return decode(cv2.imencode(extension, pixels, options)[1].tobytes()).pixels


def add_frame(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Draw a thin closed line along the border."""
    changed, (height, width) = grey.copy(), grey.shape
    corner = (width - 1 - FRAME_DISTANCE, height - 1 - FRAME_DISTANCE)
    cv2.rectangle(changed, (FRAME_DISTANCE, FRAME_DISTANCE), corner, _ink(grey), 1)
    return changed


def add_bands(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Add a black band above and below."""
    return np.pad(grey, ((round(BAND_SHARE * grey.shape[0]),) * 2, (0, 0)))


def add_margin(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Add a white margin on all sides."""
    return np.pad(grey, [(round(MARGIN_SHARE * side),) * 2 for side in grey.shape], constant_values=WHITE)


def add_text(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Burn a line of text into the lower left corner."""
    changed, height = grey.copy(), grey.shape[0]
    size = max(0.5, height / 900)
    place = (10, height - 12)
    cv2.putText(changed, "CASE 0001 100x", place, cv2.FONT_HERSHEY_SIMPLEX, size, _ink(grey), 2, cv2.LINE_AA)
    return changed


def add_scale_bar(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Draw a bar into the lower right corner."""
    changed, (height, width) = grey.copy(), grey.shape
    changed[height - 18 : height - 12, width - 10 - width // 6 : width - 10] = _ink(grey)
    return changed


def add_hot_pixels(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Set single pixels to white."""
    changed = grey.copy()
    changed.ravel()[rng.choice(grey.size, HOT_PIXELS, replace=False)] = WHITE
    return changed


def add_hot_pixels_12_bit(grey: Grey8, rng: np.random.Generator) -> Pixels:
    """Set single pixels of a 12-bit image to the largest value of 16 bits."""
    changed = 16 * grey.astype(np.uint16)
    changed.ravel()[rng.choice(grey.size, HOT_PIXELS_16_BIT, replace=False)] = np.iinfo(np.uint16).max
    return _decoded(".tiff", changed)


def add_gradient(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Add stray light that grows from left to right; less contrast avoids clipping."""
    ramp = np.linspace(0, STRAY_LIGHT, grey.shape[1])
    return _rounded(grey * (1 - STRAY_LIGHT / WHITE) + ramp)


def add_vignette(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Darken an image towards its corners."""
    y, x = (np.linspace(-1, 1, side) for side in grey.shape)
    return _rounded(grey * (1 - VIGNETTE / 2 * (y[:, None] ** 2 + x**2)))


def bend_tones(grey: Grey8, rng: np.random.Generator, *, gamma: float) -> Grey8:
    """Apply a gamma curve."""
    return _rounded(WHITE * (grey / WHITE) ** gamma)


def store_deep(grey: Grey8, rng: np.random.Generator, *, factor: int) -> Pixels:
    """Store an image of more bits in a 16-bit TIFF file."""
    return _decoded(".tiff", factor * grey.astype(np.uint16))


def invert(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Swap black and white."""
    return WHITE - grey


def cast_colour(grey: Grey8, rng: np.random.Generator) -> Pixels:
    """Store a yellowish image in a colour PNG file."""
    return _decoded(".png", np.dstack([_rounded(share * grey) for share in CAST]))


def compress_jpeg(grey: Grey8, rng: np.random.Generator, *, quality: int) -> Pixels:
    """Store an image in a JPEG file."""
    return _decoded(".jpg", grey, cv2.IMWRITE_JPEG_QUALITY, quality)


def blur(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Blur an image."""
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), BLUR_SIGMA), np.uint8)


def add_noise(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Add Gaussian noise."""
    return _rounded(grey + rng.normal(0, NOISE_SIGMA, grey.shape))


def resample(grey: Grey8, rng: np.random.Generator, *, factor: float) -> Grey8:
    """Sample an image more finely or more coarsely."""
    method = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(grey, None, fx=factor, fy=factor, interpolation=method), np.uint8)


def rotate_quarter(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Rotate an image by 90 degrees."""
    return np.ascontiguousarray(np.rot90(grey))


def rotate(grey: Grey8, rng: np.random.Generator, *, degrees: float) -> Grey8:
    """Rotate an image on a larger canvas, whose corners have the median grey."""
    (height, width), angle = grey.shape, np.deg2rad(degrees)
    cosine, sine = abs(np.cos(angle)), abs(np.sin(angle))
    size = np.ceil([width * cosine + height * sine, width * sine + height * cosine]).astype(int)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    matrix[0, 2] += (size[0] - width) / 2
    matrix[1, 2] += (size[1] - height) / 2
    corners = float(np.median(grey))
    shape = (int(size[0]), int(size[1]))
    return np.asarray(cv2.warpAffine(grey, matrix, shape, flags=cv2.INTER_CUBIC, borderValue=corners), np.uint8)


def mirror(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Swap left and right."""
    return np.ascontiguousarray(grey[:, ::-1])


def crop_to_cells(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Crop an image to its chromosomes and nuclei."""
    stained = (normalise(grey).stain > 0.5).astype(np.uint8)
    boxes = cv2.connectedComponentsWithStats(stained)[2][1:]
    x, y, width, height, _ = boxes[boxes[:, cv2.CC_STAT_AREA] >= MIN_CELL_AREA].T
    left, top = (max(0, int(first.min()) - CROP_DISTANCE) for first in (x, y))
    right, bottom = int((x + width).max()) + CROP_DISTANCE, int((y + height).max()) + CROP_DISTANCE
    return np.ascontiguousarray(grey[top:bottom, left:right])


def saturate(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Stretch the range until the darkest and the brightest pixels are clipped."""
    low, high = np.quantile(grey, [CLIPPED_SHARE, 1 - CLIPPED_SHARE])
    return _rounded((grey - low) * (WHITE / max(high - low, 1.0)))


def add_dust(grey: Grey8, rng: np.random.Generator) -> Grey8:
    """Add blurred specks."""
    layer = np.zeros_like(grey)
    for _ in range(DUST_SPECKS):
        x, y = rng.integers(0, grey.shape[::-1]).tolist()
        cv2.circle(layer, (x, y), int(rng.integers(DUST_RADIUS[0], DUST_RADIUS[1] + 1)), WHITE, -1)
    opacity = DUST_OPACITY * cv2.GaussianBlur(layer, (0, 0), 1.0) / WHITE
    return _rounded(grey * (1 - opacity) + _ink(grey) * opacity)


CHANGES: dict[str, Change] = {
    "frame": add_frame,
    "letterbox": add_bands,
    "white-margin": add_margin,
    "text": add_text,
    "scale-bar": add_scale_bar,
    "hot-pixels": add_hot_pixels,
    "hot-pixels-12-bit": add_hot_pixels_12_bit,
    "dust": add_dust,
    "gradient": add_gradient,
    "vignette": add_vignette,
    "gamma-0.6": partial(bend_tones, gamma=0.6),
    "gamma-1.6": partial(bend_tones, gamma=1.6),
    "saturation": saturate,
    "8-bit-in-16": partial(store_deep, factor=1),
    "10-bit": partial(store_deep, factor=4),
    "12-bit": partial(store_deep, factor=16),
    "16-bit": partial(store_deep, factor=257),
    "inverted": invert,
    "colour-cast": cast_colour,
    "jpeg-20": partial(compress_jpeg, quality=20),
    "jpeg-50": partial(compress_jpeg, quality=50),
    "jpeg-90": partial(compress_jpeg, quality=90),
    "blur": blur,
    "noise": add_noise,
    "sampling-x0.5": partial(resample, factor=0.5),
    "sampling-x0.7": partial(resample, factor=0.7),
    "sampling-x1.5": partial(resample, factor=1.5),
    "sampling-x2": partial(resample, factor=2),
    "sampling-x4": partial(resample, factor=4),
    "rotation-90": rotate_quarter,
    "rotation-17": partial(rotate, degrees=17),
    "mirror": mirror,
    "crop": crop_to_cells,
}
"""Change by kind."""
