"""From the bytes of an image file to the grey picture of one metaphase.

Nothing here trusts a file: its kind is read from its bytes and never from its name, its size is checked in the header
before anything is decoded, and whatever is wrong with it ends as an :class:`ImageRejected` with one of :data:`REASONS`.
Metadata (EXIF, TIFF tags, comments) is dropped, because it may identify a patient.
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

REASONS = {
    "empty_file": "The file is empty; copy it again from the microscope.",
    "too_many_bytes": "The file has {size:,} bytes and the limit is {limit:,}; compress it or raise the limit.",
    "not_an_image": "The file holds no image, whatever its name says; remove it or export the image again.",
    "unsupported_format": "The file is {kind}; export it as TIFF, PNG, JPEG or BMP.",
    "truncated": "The file ends before the image does; copy it again from the microscope.",
    "damaged": "The image cannot be decoded; copy it again, or export it again as TIFF or PNG.",
    "too_many_pixels": "The image claims more than {limit:,} pixels; crop it to what it is about, or raise the limit.",
    "too_small": "The image is {width} x {height} pixels; send the whole of it, at least {least} pixels a side.",
    "unsupported_colour": "The colours are stored as {kind}; export the image as grey or RGB.",
    "unsupported_pixel_type": "The pixels are {kind}; export the image with 8 or 16 bits per channel.",
    "unsupported_compression": "The TIFF is compressed by {kind}; export it uncompressed or with LZW or Deflate.",
    "palette_image": "The pixels point into a palette of colours; export the image as grey or RGB.",
    "transparent_image": "Parts of the image are transparent; flatten it before export.",
    "multi_page": "The file holds several images; export each as a file of its own.",
}
"""Every reason for which :func:`decode` rejects, with the sentence that tells people what to do."""

_SUPPORTED = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
_UNSUPPORTED = (
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
_TIFF_COMPRESSIONS = {1, 5, 7, 8, 32773, 32946}  # none, LZW, JPEG, Deflate, PackBits, Deflate's older number
_TIFFFILE_COMPRESSIONS = _TIFF_COMPRESSIONS - {5, 7}
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_PLANES_APART = 2

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong with a file is told by ImageRejected
_hush_lock = threading.Lock()


class ImageRejected(Exception):
    """A file that is not a usable photograph: a ``reason`` of :data:`REASONS` and a ``sentence`` for people."""

    def __init__(self, reason: str, **facts: object) -> None:
        self.reason = reason
        self.sentence = REASONS[reason].format(**facts)
        super().__init__(self.sentence)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that hold before anything is decoded."""

    max_bytes: int = 256 * 2**20
    max_pixels: int = 64_000_000
    min_side: int = 64


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """One decoded image and nothing else of its file."""

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    """(H, W) grey, 0 is black."""
    format: str
    """``TIFF``, ``PNG``, ``JPEG`` or ``BMP``."""
    width: int
    height: int
    bit_depth: int
    """8 or 16, as stored."""


def decode(data: bytes, limits: Limits = Limits()) -> DecodedImage:
    """The grey photograph in ``data``, the content of a TIFF, PNG, JPEG or BMP file.

    Sixteen bits stay sixteen bits; colour becomes grey (see :func:`_grey`); an alpha channel is dropped if it is opaque
    everywhere; a palette is accepted only if all its colours are greys. Reduced-size copies after the first image of a
    TIFF (thumbnails) are ignored.

    Raises:
        ImageRejected: with one of :data:`REASONS`.
    """
    if not data:
        raise ImageRejected("empty_file")
    if len(data) > limits.max_bytes:
        raise ImageRejected("too_many_bytes", size=len(data), limit=limits.max_bytes)
    kind = _kind(data)
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


def _kind(data: bytes) -> str:
    for magic, kind in _SUPPORTED.items():
        if data.startswith(magic):
            return kind
    for offset, magic, name in _UNSUPPORTED:
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
    """PNG, JPEG or BMP."""
    if kind == "BMP" and struct.unpack_from("<I", data, 14)[0] >= 40 and struct.unpack_from("<i", data, 18)[0] <= 0:
        raise ImageRejected("damaged")  # Pillow would read the negative width as a huge one
    picture = _open(data, kind)
    _check_size(*picture.size, limits)
    if kind == "PNG":
        if getattr(picture, "is_animated", False):
            raise ImageRejected("multi_page")
        picture.verify()  # the checksums, which loading alone does not look at; it uses the picture up
        depth, colour_type = data[24], data[25]
        if depth == 16 and colour_type != 0:
            return _flatten(_decode_with_opencv(data))
        picture = _open(data, kind)
    return _pixels(picture)


def _decode_tiff(data: bytes, limits: Limits) -> NDArray[Any]:
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        if len(tiff.pages) == 0:  # the directory of images, often at the end of the file, lies beyond it
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
            with suppress(UnidentifiedImageError):
                return _pixels(_open(data, "TIFF"))
        return _decode_without_pillow(data, page)


def _decode_without_pillow(data: bytes, page: tifffile.TiffPage) -> NDArray[Any]:
    """Sixteen bits, which Pillow reads only in some layouts and as eight if in colour, and its other gaps."""
    apart = page.samplesperpixel > 1 and page.planarconfig == _PLANES_APART
    if int(page.compression) in _TIFFFILE_COMPRESSIONS:
        pixels: NDArray[Any] = page.asarray(maxworkers=1)
        pixels = np.moveaxis(pixels, 0, -1) if apart else pixels
        pixels = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    elif apart or page.samplesperpixel == 2 or page.bitspersample == 8:
        kind = f"{page.samplesperpixel} channels in an unusual layout"
        raise ImageRejected("unsupported_pixel_type", kind=kind)
    else:
        pixels = _decode_with_opencv(data)
    if page.photometric == _MIN_IS_WHITE:
        pixels = np.iinfo(pixels.dtype).max - pixels
    return _flatten(pixels)


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
    with _hush():
        return Image.open(io.BytesIO(data), formats=(kind,))


def _pixels(picture: Image.Image) -> NDArray[Any]:
    """(H, W) uint8 or uint16."""
    match picture.mode:
        case "L" | "I;16" | "I;16B":
            return np.ascontiguousarray(np.asarray(picture), dtype=np.uint8 if picture.mode == "L" else np.uint16)
        case "P":
            colours = np.array(picture.getpalette("RGB")).reshape(-1, 3)
            if (colours != colours[:, :1]).any():
                raise ImageRejected("palette_image")
            return np.take(colours[:, 0].astype(np.uint8), np.asarray(picture), mode="clip")
        case "LA" | "RGB" | "RGBA":
            return _flatten(np.asarray(picture))
        case "YCbCr":
            return _flatten(np.asarray(picture.convert("RGB")))
        case "CMYK" | "LAB" | "HSV":
            raise ImageRejected("unsupported_colour", kind=picture.mode)
        case "1":
            raise ImageRejected("unsupported_pixel_type", kind="black or white, without the greys that bands need")
        case mode:
            raise ImageRejected("unsupported_pixel_type", kind=f"of the kind {mode}")


def _decode_with_opencv(data: bytes) -> NDArray[Any]:
    """(H, W) or (H, W, C) of a 16-bit PNG or TIFF, colour as RGB or RGBA."""
    with _hush():
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        finally:
            cv2.utils.logging.setLogLevel(level)
    if pixels is None or pixels.dtype != np.uint16:
        raise ImageRejected("damaged")
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    return pixels if channels == 1 else pixels[..., [2, 1, 0, 3][:channels]]


def _flatten(pixels: NDArray[Any]) -> NDArray[Any]:
    """(H, W) grey of (H, W), or of (H, W, C) grey or RGB, with alpha if C is even."""
    if pixels.ndim == 2:
        return pixels
    channels = pixels.shape[2]
    if channels % 2 == 0 and (pixels[..., -1] != np.iinfo(pixels.dtype).max).any():
        raise ImageRejected("transparent_image")
    return np.ascontiguousarray(pixels[..., 0]) if channels < 3 else _grey(pixels[..., :3])


def _grey(rgb: NDArray[Any]) -> NDArray[Any]:
    """(H, W) grey of (H, W, 3) colour: its luma (Rec. ITU-R BT.601), unless that hides the stain.

    Luma gives blue a weight of 0.114, so a DAPI image saved in blue would keep a tenth of its contrast. When one
    channel varies more than twice as much as the luma does, that channel is the photograph.
    """
    rgb = np.ascontiguousarray(rgb)
    luma: NDArray[Any] = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    every = max(1, min(luma.shape) // 256)
    spreads = rgb[::every, ::every].std(axis=(0, 1))
    strongest = int(spreads.argmax())
    if spreads[strongest] > 2 * luma[::every, ::every].std():
        return np.ascontiguousarray(rgb[..., strongest])
    return luma


@contextmanager
def _hush() -> Iterator[None]:
    """Silence the libraries' warnings on odd files. One thread at a time: Python's warning filters are global."""
    with _hush_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
