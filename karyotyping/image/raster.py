"""PNG, JPEG and BMP files, and the TIFF pages that Pillow decodes."""

from __future__ import annotations

import io
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from karyotyping.image.bounds import ImageRejected, Limits, check_size
from karyotyping.image.colour import grey_of, grey_of_palette, oriented, rgb_of

ORIENTATION = 274  # tag of EXIF and TIFF

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # ImageRejected reports faults
_warnings_lock = threading.Lock()


def decode_raster(data: bytes, kind: str, limits: Limits) -> NDArray[Any]:
    """Return the (H, W) grey pixels of a PNG, JPEG or BMP file, turned upright.

    Args:
        data: content of the file.
        kind: ``PNG``, ``JPEG`` or ``BMP``.
        limits: bounds on pixels.

    Raises:
        ImageRejected: the file is no usable image.
    """
    if kind == "BMP" and struct.unpack_from("<I", data, 14)[0] >= 40 and struct.unpack_from("<i", data, 18)[0] <= 0:
        raise ImageRejected("damaged")  # Pillow reads a negative width as unsigned
    image = open_image(data, kind)
    check_size(*image.size, limits)
    if kind == "PNG":
        if getattr(image, "is_animated", False):
            raise ImageRejected("multi_page")
        image.verify()  # loading alone skips the checksums; verify() exhausts the image
        image = open_image(data, kind)
        depth, colour_type = data[24], data[25]
        if depth == 16 and colour_type != 0:
            orientation = _orientation(image) if b"eXIf" in data else 1
            return oriented(_grey_of_16_bit_png(data), orientation)
    pixels = grey_image(image)
    return pixels if kind == "BMP" else oriented(pixels, _orientation(image))


def open_image(data: bytes, kind: str) -> Image.Image:
    """Return the first image of a file, whose pixels are not decoded yet.

    Args:
        data: content of the file.
        kind: name of the only format that Pillow tries.
    """
    with _warnings_silenced():
        return Image.open(io.BytesIO(data), formats=(kind,))


def decode_with_opencv(data: bytes) -> NDArray[Any] | None:
    """Return the (H, W) or (H, W, C) BGR pixels that OpenCV decodes; None if it cannot."""
    pixels: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels


def grey_image(image: Image.Image) -> NDArray[Any]:
    """Return the (H, W) grey pixels of an opened image, uint8 or uint16.

    Raises:
        ImageRejected: ``unsupported_pixel_type`` or ``transparent_image``.
    """
    match image.mode:
        case "L" | "I;16" | "I;16B":
            return np.ascontiguousarray(np.asarray(image), dtype=np.uint8 if image.mode == "L" else np.uint16)
        case "P":
            return grey_of_palette(np.asarray(image), np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3))
        case "LA":
            return grey_of(np.asarray(image), 1, has_alpha=True)
        case "RGB" | "RGBA" | "RGBX":
            return grey_of(np.asarray(image), 3, has_alpha=image.mode == "RGBA")
        case "YCbCr" | "CMYK" | "LAB" | "HSV":
            return grey_of(rgb_of(image), 3, has_alpha=False)
        case "1":
            raise ImageRejected("unsupported_pixel_type", kind="black or white, without the greys that bands need")
        case mode:
            raise ImageRejected("unsupported_pixel_type", kind=f"of the kind {mode}")


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an image, 1 if it has none."""
    try:
        with _warnings_silenced():
            return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged metadata can raise anything; the pixels are sound
        return 1


def _grey_of_16_bit_png(data: bytes) -> NDArray[Any]:
    """Return the (H, W) grey pixels of a 16-bit PNG in colour or with alpha."""
    pixels = decode_with_opencv(data)
    if pixels is None or pixels.dtype != np.uint16:
        raise ImageRejected("damaged")
    if pixels.ndim == 2:
        return pixels
    has_alpha = pixels.shape[2] == 4
    return grey_of(pixels[..., [2, 1, 0, 3]] if has_alpha else pixels[..., ::-1], 3, has_alpha=has_alpha)


@contextmanager
def _warnings_silenced() -> Iterator[None]:
    """Silence the decoders' warnings under a lock: Python's warning filters are global."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
