"""Bounded decoding of image files into grey metaphase images.

The format is read from the bytes, never from the file name. The size is checked in the header before pixels are
decoded. Every fault raises :class:`ImageRejected` with one of :data:`REASONS`. Metadata (EXIF, TIFF tags, comments) is
dropped, because it may identify a patient.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from PIL import Image

from karyotyping.arrays import Pixels
from karyotyping.image.bounds import DEFAULT_LIMITS, REASONS, ImageRejected, Limits
from karyotyping.image.czi import decode_czi
from karyotyping.image.formats import format_of
from karyotyping.image.lif import decode_lif
from karyotyping.image.raster import decode_raster
from karyotyping.image.selection import Selection
from karyotyping.image.tiff import decode_tiff

__all__ = ["REASONS", "DecodedImage", "ImageRejected", "Limits", "decode"]


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Grey pixels of one image file, without its metadata."""

    pixels: Pixels
    format: str
    """``TIFF``, ``PNG``, ``JPEG``, ``BMP``, ``CZI`` or ``LIF``."""
    width: int
    """px"""
    height: int
    """px"""
    bit_depth: int
    """Bits per pixel as stored, 8 or 16."""


def decode(
    data: bytes, limits: Limits = DEFAULT_LIMITS, channel: str | int | None = None, plane: int | None = None
) -> DecodedImage:
    """Decode the content of a TIFF, PNG, JPEG, BMP, CZI or LIF file into a grey image.

    The bit depth is kept; floating point becomes 16 bits. Colour becomes grey, palettes are resolved, the orientation
    of EXIF or TIFF is applied. Alpha that is the same everywhere is dropped. Reduced copies of the image are ignored.
    A file with several channels or planes is rejected unless one of them is chosen. A file that holds one image
    without a named channel ignores the choice.

    Args:
        data: content of the file.
        limits: bounds on bytes and pixels.
        channel: name of a channel in any case, or its number from 0.
        plane: number of a plane, from 0.

    Raises:
        ImageRejected: the file is no usable image; ``reason`` is a key of :data:`REASONS`.
    """
    if not data:
        raise ImageRejected("empty_file")
    if len(data) > limits.max_bytes:
        raise ImageRejected("too_many_bytes", size=len(data), limit=limits.max_bytes)
    kind = _format(data)
    try:
        pixels = _decode(data, kind, limits, Selection(channel, plane))
    except ImageRejected:
        raise
    except Image.DecompressionBombError as error:
        raise ImageRejected("too_many_pixels", limit=limits.max_pixels) from error
    except Exception as error:  # a damaged file can make a decoder raise anything
        cut_short = isinstance(error, EOFError | struct.error) or "truncated" in str(error).lower()
        raise ImageRejected("truncated" if cut_short else "damaged") from error
    height, width = pixels.shape
    return DecodedImage(pixels, kind, width, height, 8 * pixels.itemsize)


def _decode(data: bytes, kind: str, limits: Limits, selection: Selection) -> Pixels:
    match kind:
        case "TIFF":
            return decode_tiff(data, limits, selection)
        case "CZI":
            return decode_czi(data, limits, selection)
        case "LIF":
            return decode_lif(data, limits, selection)
    return decode_raster(data, kind, limits)


def _format(data: bytes) -> str:
    file_format = format_of(data)
    if file_format is None:
        raise ImageRejected("not_an_image")
    if file_format.role != "decoded":
        raise ImageRejected("unsupported_format", kind=file_format.name)
    return file_format.name
