"""Bounded decoding of image files into grey metaphase images.

The format is read from the bytes, never from the file name. The size is checked in the header before pixels are
decoded. Every fault raises :class:`ImageRejected` with one of :data:`REASONS`. Metadata (EXIF, TIFF tags, comments) is
dropped, because it may identify a patient.
"""

from __future__ import annotations

import io
import logging
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from karyotyping.arrays import Pixels

REASONS = {
    "empty_file": "The file is empty; copy it again from the microscope.",
    "too_many_bytes": "The file has {size:,} bytes and the limit is {limit:,}; compress it or raise the limit.",
    "not_an_image": "The file holds no image, whatever its name says; remove it or export the image again.",
    "unsupported_format": "The file is {kind}; export it as TIFF, PNG, JPEG or BMP.",
    "truncated": "The file ends before the image does; copy it again from the microscope.",
    "damaged": "The image cannot be decoded; copy it again, or export it again as TIFF or PNG.",
    "too_many_pixels": "The image claims more than {limit:,} pixels; crop it to the metaphase, or raise the limit.",
    "too_small": "The image is {width} x {height} pixels; send the whole of it, at least {least} pixels a side.",
    "unsupported_colour": "The colours are stored as {kind}; export the image as grey or RGB.",
    "unsupported_pixel_type": "The pixels are {kind}; export the image with 8 or 16 bits per channel.",
    "unsupported_compression": "The TIFF is compressed by {kind}; export it uncompressed or with LZW or Deflate.",
    "palette_image": "The pixels point into a palette of colours; export the image as grey or RGB.",
    "transparent_image": "Parts of the image are transparent; flatten it before export.",
    "multi_page": "The file holds several images; export each as a file of its own.",
}
"""Sentence for the user by rejection reason; each says what to do next."""

_FORMAT_BY_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
_UNSUPPORTED_MAGICS = (  # offset in bytes, magic, name
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (4, b"ftyp", "HEIC, AVIF or a film"),
    (4, b"jP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"%PDF", "PDF"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (128, b"DICM", "DICOM"),
)
_TIFF_COMPRESSIONS = {1, 5, 7, 8, 32773, 32946}  # none, LZW, JPEG, Deflate, PackBits, Deflate (old code)
_TIFFFILE_COMPRESSIONS = _TIFF_COMPRESSIONS - {5, 7}
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6  # TIFF photometric interpretation
_SEPARATE_PLANES = 2  # TIFF planar configuration
_DOMINANT_CHANNEL_RATIO = 2  # spread of a channel over that of the luma

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # ImageRejected reports faults
_warnings_lock = threading.Lock()


class ImageRejected(Exception):
    """A file that is no usable metaphase image.

    Args:
        reason: key of :data:`REASONS`, kept as ``reason``.
        facts: values for the placeholders of its sentence; the result is ``sentence``.
    """

    def __init__(self, reason: str, **facts: object) -> None:
        self.reason = reason
        self.sentence = REASONS[reason].format(**facts)
        super().__init__(self.sentence)


@dataclass(frozen=True, slots=True)
class Limits:
    """Size bounds that are checked before pixels are decoded."""

    max_bytes: int = 256 * 2**20  # 256 MiB
    max_pixels: int = 64_000_000
    min_side: int = 64  # px


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Grey pixels of one image file, without its metadata."""

    pixels: Pixels
    format: str
    """``TIFF``, ``PNG``, ``JPEG`` or ``BMP``."""
    width: int
    """px"""
    height: int
    """px"""
    bit_depth: int
    """Bits per pixel as stored, 8 or 16."""


def decode(data: bytes, limits: Limits = Limits()) -> DecodedImage:
    """Decode the content of a TIFF, PNG, JPEG or BMP file into a grey image.

    The bit depth is kept. Colour becomes grey (see :func:`_to_grey`). An opaque alpha channel is dropped, a palette of
    greys is resolved. Thumbnails after the first image of a TIFF are ignored.

    Args:
        data: content of the file.
        limits: bounds on bytes and pixels.

    Raises:
        ImageRejected: the file is no usable image; ``reason`` is a key of :data:`REASONS`.
    """
    if not data:
        raise ImageRejected("empty_file")
    if len(data) > limits.max_bytes:
        raise ImageRejected("too_many_bytes", size=len(data), limit=limits.max_bytes)
    kind = _format(data)
    try:
        pixels = _decode_tiff(data, limits) if kind == "TIFF" else _decode_plain(data, kind, limits)
    except ImageRejected:
        raise
    except Image.DecompressionBombError as error:
        raise ImageRejected("too_many_pixels", limit=limits.max_pixels) from error
    except Exception as error:  # a damaged file can make a decoder raise anything
        cut_short = isinstance(error, EOFError | struct.error) or "truncated" in str(error).lower()
        raise ImageRejected("truncated" if cut_short else "damaged") from error
    height, width = pixels.shape
    return DecodedImage(pixels, kind, width, height, 8 * pixels.itemsize)


def _format(data: bytes) -> str:
    for magic, kind in _FORMAT_BY_MAGIC.items():
        if data.startswith(magic):
            return kind
    for offset, magic, name in _UNSUPPORTED_MAGICS:
        if data.startswith(magic, offset):
            raise ImageRejected("unsupported_format", kind=name)
    raise ImageRejected("not_an_image")


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width <= 0 or height <= 0:
        raise ImageRejected("damaged")
    if width * height > limits.max_pixels:
        raise ImageRejected("too_many_pixels", limit=limits.max_pixels)
    if min(width, height) < limits.min_side:
        raise ImageRejected("too_small", width=width, height=height, least=limits.min_side)


def _decode_plain(data: bytes, kind: str, limits: Limits) -> NDArray[Any]:
    """Decode a PNG, JPEG or BMP file into (H, W) grey pixels."""
    if kind == "BMP" and struct.unpack_from("<I", data, 14)[0] >= 40 and struct.unpack_from("<i", data, 18)[0] <= 0:
        raise ImageRejected("damaged")  # Pillow reads a negative width as unsigned
    image = _open(data, kind)
    _check_size(*image.size, limits)
    if kind == "PNG":
        if getattr(image, "is_animated", False):
            raise ImageRejected("multi_page")
        image.verify()  # loading alone skips the checksums; verify() exhausts the image
        depth, colour_type = data[24], data[25]
        if depth == 16 and colour_type != 0:
            return _single_channel(_decode_with_opencv(data))
        image = _open(data, kind)
    return _pixels(image)


def _decode_tiff(data: bytes, limits: Limits) -> NDArray[Any]:
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        if len(tiff.pages) == 0:  # the image directory, often at the end of the file, is missing
            raise ImageRejected("truncated")
        page = tiff.pages.first
        _check_size(page.imagewidth, page.imagelength, limits)
        _check_tiff_pixels(page)
        if any(not getattr(other, "is_reduced", False) for other in list(tiff.pages)[1:]):
            raise ImageRejected("multi_page")
        segments = zip(page.dataoffsets, page.databytecounts, strict=False)
        if not page.dataoffsets or any(offset + count > len(data) for offset, count in segments):
            raise ImageRejected("truncated")
        if page.bitspersample == 8:
            with suppress(UnidentifiedImageError):  # Pillow lacks some layouts
                return _pixels(_open(data, "TIFF"))
        return _decode_without_pillow(data, page)


def _decode_without_pillow(data: bytes, page: tifffile.TiffPage) -> NDArray[Any]:
    """Decode a TIFF page that Pillow cannot read, or only at fewer bits (16-bit colour)."""
    separate = page.samplesperpixel > 1 and page.planarconfig == _SEPARATE_PLANES
    if int(page.compression) in _TIFFFILE_COMPRESSIONS:
        pixels: NDArray[Any] = page.asarray(maxworkers=1)
        pixels = np.moveaxis(pixels, 0, -1) if separate else pixels
        pixels = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    elif separate or page.samplesperpixel == 2 or page.bitspersample == 8:
        kind = f"{page.samplesperpixel} channels in an unusual layout"
        raise ImageRejected("unsupported_pixel_type", kind=kind)
    else:
        pixels = _decode_with_opencv(data)
    if page.photometric == _MIN_IS_WHITE:
        pixels = np.iinfo(pixels.dtype).max - pixels
    return _single_channel(pixels)


def _check_tiff_pixels(page: tifffile.TiffPage) -> None:
    photometric = int(page.photometric or 0)
    if photometric == _PALETTE:
        raise ImageRejected("palette_image")
    if photometric not in (_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _YCBCR):
        raise ImageRejected("unsupported_colour", kind=_name(page.photometric))
    if int(page.sampleformat) != 1:
        raise ImageRejected("unsupported_pixel_type", kind=_name(page.sampleformat))
    if page.bitspersample not in (8, 16):
        raise ImageRejected("unsupported_pixel_type", kind=f"{page.bitspersample}-bit")
    if int(page.compression) not in _TIFF_COMPRESSIONS:
        raise ImageRejected("unsupported_compression", kind=_name(page.compression))


def _name(tag: object) -> str:
    return {"SEPARATED": "CMYK", "IEEEFP": "floating point"}.get(name := getattr(tag, "name", str(tag)), name)


def _open(data: bytes, kind: str) -> Image.Image:
    with _warnings_silenced():
        return Image.open(io.BytesIO(data), formats=(kind,))


def _pixels(image: Image.Image) -> NDArray[Any]:
    """Return the (H, W) grey pixels of an opened image, uint8 or uint16."""
    match image.mode:
        case "L" | "I;16" | "I;16B":
            return np.ascontiguousarray(np.asarray(image), dtype=np.uint8 if image.mode == "L" else np.uint16)
        case "P":
            colours = np.array(image.getpalette("RGB")).reshape(-1, 3)
            if (colours != colours[:, :1]).any():
                raise ImageRejected("palette_image")
            return np.take(colours[:, 0].astype(np.uint8), np.asarray(image), mode="clip")
        case "LA" | "RGB" | "RGBA":
            return _single_channel(np.asarray(image))
        case "YCbCr":
            return _single_channel(np.asarray(image.convert("RGB")))
        case "CMYK" | "LAB" | "HSV":
            raise ImageRejected("unsupported_colour", kind=image.mode)
        case "1":
            raise ImageRejected("unsupported_pixel_type", kind="black or white, without the greys that bands need")
        case mode:
            raise ImageRejected("unsupported_pixel_type", kind=f"of the kind {mode}")


def _decode_with_opencv(data: bytes) -> NDArray[Any]:
    """Return the (H, W) or (H, W, C) pixels of a 16-bit PNG or TIFF, colour as RGB or RGBA."""
    with _warnings_silenced():
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        finally:
            cv2.utils.logging.setLogLevel(level)
    if pixels is None or pixels.dtype != np.uint16:
        raise ImageRejected("damaged")
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    return pixels if channels == 1 else pixels[..., [2, 1, 0, 3][:channels]]


def _single_channel(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return (H, W) grey of (H, W), or of (H, W, C) grey or RGB with alpha if C is even."""
    if pixels.ndim == 2:
        return pixels
    channels = pixels.shape[2]
    if channels % 2 == 0 and (pixels[..., -1] != np.iinfo(pixels.dtype).max).any():
        raise ImageRejected("transparent_image")
    return np.ascontiguousarray(pixels[..., 0]) if channels < 3 else _to_grey(pixels[..., :3])


def _to_grey(rgb: NDArray[Any]) -> NDArray[Any]:
    """Return (H, W) grey of (H, W, 3) RGB: the luma (Rec. ITU-R BT.601) or the dominant channel.

    Luma weighs blue by 0.114, so a DAPI image saved in blue would lose most of its contrast. A channel whose standard
    deviation exceeds twice that of the luma is therefore taken instead.
    """
    rgb = np.ascontiguousarray(rgb)
    luma: NDArray[Any] = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    step = max(1, min(luma.shape) // 256)
    spreads = rgb[::step, ::step].std(axis=(0, 1))
    strongest = int(spreads.argmax())
    if spreads[strongest] > _DOMINANT_CHANNEL_RATIO * luma[::step, ::step].std():
        return np.ascontiguousarray(rgb[..., strongest])
    return luma


@contextmanager
def _warnings_silenced() -> Iterator[None]:
    """Silence the decoders' warnings under a lock: Python's warning filters are global."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
