"""Samples of one TIFF page from its strips or tiles.

The size of everything is known before it is decompressed, and no decompressor returns more than that. LZW and PackBits
are left to libtiff, in a TIFF of one strip that is written here. The tags of the file do not reach it.
"""

from __future__ import annotations

import lzma
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from karyotyping.image.bounds import ImageRejected, Limits, check_size
from karyotyping.image.codecs import IMAGE_CODECS, decode_image_segment, imagecodecs
from karyotyping.image.raster import decode_with_opencv

MAX_SEGMENTS = 2**18  # strips or tiles of a page
UNPACK_BITS = 2**20  # samples of less than a byte that are unpacked together
SEPARATE_PLANES = 2  # TIFF planar configuration
MIN_IS_BLACK = 1  # TIFF photometric interpretation
UNSIGNED, FLOAT, UNDEFINED = 1, 3, 4  # TIFF sample formats
NO_COMPRESSION = 1
LIBTIFF_COMPRESSIONS = frozenset({5, 32773})  # LZW, PackBits
DEFLATE = frozenset({8, 32946})
LZMA, ZSTD = 34925, frozenset({34926, 50000})

_INTEGER_BITS = frozenset({1, 2, 4, 8, 10, 12, 14, 16})
_FLOAT_BITS = frozenset({16, 32, 64})
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def is_readable(compression: int) -> bool:
    """Return whether :func:`read_samples` knows the compression, given the extra ``formats``."""
    return compression in {NO_COMPRESSION, LZMA} | LIBTIFF_COMPRESSIONS | DEFLATE | ZSTD | IMAGE_CODECS.keys()


def bits_per_sample(page: tifffile.TiffPage) -> int:
    """Return the bits per sample of a page.

    Raises:
        ImageRejected: ``unsupported_pixel_type`` for signed and complex samples, and for an odd number of bits.
    """
    kind, bits = page.sampleformat, page.bitspersample
    if not isinstance(kind, int) or kind not in (UNSIGNED, FLOAT, UNDEFINED):
        raise ImageRejected("unsupported_pixel_type", kind=getattr(kind, "name", str(kind)))
    if not isinstance(bits, int) or bits not in (_FLOAT_BITS if kind == FLOAT else _INTEGER_BITS):
        raise ImageRejected("unsupported_pixel_type", kind=f"{bits}-bit")
    return bits


def read_samples(data: bytes, page: tifffile.TiffPage, limits: Limits) -> NDArray[Any]:
    """Return the samples of a page as stored, in the byte order of the machine.

    Args:
        data: content of the file.
        page: tags of the page.
        limits: bounds on pixels.

    Returns:
        (H, W, C) uint8, uint16, float16, float32 or float64.

    Raises:
        ImageRejected: ``truncated``, ``damaged``, ``unsupported_pixel_type``, ``unsupported_compression``,
            ``missing_extra``, or a bound of :func:`~karyotyping.image.bounds.check_size`.
    """
    grid = _Grid.of(page, limits)
    samples = np.empty((grid.planes, grid.height, grid.width, grid.channels), grid.dtype)
    encoded = _Encoded(data, page, grid)
    for number, (plane, y, x) in enumerate(grid.corners()):
        segment = _decode(encoded, number, grid, page, grid.rows_at(y))
        samples[plane, y : y + grid.rows, x : x + grid.columns] = segment[: grid.height - y, : grid.width - x]
    return np.moveaxis(samples[..., 0], 0, -1) if grid.planes > 1 else samples[0]


@dataclass(frozen=True, slots=True)
class _Grid:
    """The strips or tiles of a page."""

    width: int
    height: int
    planes: int
    """Planes that are stored one after the other, each with ``channels`` samples a pixel."""
    channels: int
    columns: int
    """px, width of a segment."""
    rows: int
    """px, height of a segment."""
    is_tiled: bool
    bits: int
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, page: tifffile.TiffPage, limits: Limits) -> _Grid:
        bits = bits_per_sample(page)
        dtype = np.dtype(f"f{bits // 8}" if page.sampleformat == FLOAT else np.uint8 if bits <= 8 else np.uint16)
        width, height, count = page.imagewidth, page.imagelength, page.samplesperpixel
        check_size(width, height, limits, count * dtype.itemsize)
        planes = count if page.planarconfig == SEPARATE_PLANES else 1
        columns, rows = width, height
        is_tiled = bool(page.is_tiled)
        if is_tiled:
            columns, rows = page.tilewidth, page.tilelength
            if min(columns, rows) <= 0:
                raise ImageRejected("damaged")
            if columns * rows > limits.max_pixels:
                raise ImageRejected("too_many_pixels", limit=limits.max_pixels)
        grid = cls(width, height, planes, count // planes, columns, rows, is_tiled, bits, dtype)
        if not is_tiled:
            grid = replace(grid, rows=_rows_per_strip(page, grid))
        if grid.segments > MAX_SEGMENTS:
            raise ImageRejected("damaged")
        return grid

    @property
    def segments(self) -> int:
        return self.planes * math.ceil(self.height / self.rows) * math.ceil(self.width / self.columns)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of a segment."""
        return math.ceil(self.columns * self.channels * self.bits / 8)

    def rows_at(self, y: int) -> int:
        """Return the rows of the segment at ``y``: a tile is padded, the last strip is shorter."""
        return self.rows if self.is_tiled else min(self.rows, self.height - y)

    def corners(self) -> Iterator[tuple[int, int, int]]:
        """Yield plane, y and x of every segment in the order of the file."""
        return product(range(self.planes), range(0, self.height, self.rows), range(0, self.width, self.columns))


def _rows_per_strip(page: tifffile.TiffPage, grid: _Grid) -> int:
    """Return the rows of a strip, even if RowsPerStrip is missing or contradictory."""
    stated = page.tags.valueof(278)
    rows = min(stated, grid.height) if isinstance(stated, int) and stated > 0 else grid.height
    strips = max(1, len(_tag_values(page, 273)) // grid.planes)
    if strips == math.ceil(grid.height / rows) or (rows < grid.height and strips > math.ceil(grid.height / rows)):
        return rows
    if strips == 1:
        return grid.height
    counts = _tag_values(page, 279)
    is_raw = page.compression == NO_COMPRESSION and counts and counts[0] >= grid.row_bytes
    return min(counts[0] // grid.row_bytes, grid.height) if is_raw else math.ceil(grid.height / strips)


def _tag_values(page: tifffile.TiffPage, code: int) -> tuple[int, ...]:
    values = page.tags.valueof(code)
    if isinstance(values, int):
        return (values,)
    return tuple(int(value) for value in values) if values is not None else ()


class _Encoded:
    """The compressed segments of a page."""

    def __init__(self, data: bytes, page: tifffile.TiffPage, grid: _Grid) -> None:
        self.compression = int(page.compression)
        self._data = data
        self._reversed = page.fillorder == 2 and self.compression not in IMAGE_CODECS
        self._offsets = _tag_values(page, 324) or _tag_values(page, 273)
        self._counts = _tag_values(page, 325) or _tag_values(page, 279)
        if len(self._offsets) < grid.segments or max(self._offsets[: grid.segments]) >= len(data):
            raise ImageRejected("truncated")
        ends = sorted({*self._offsets, len(data)})
        self._next = dict(pairwise(ends))
        if self.compression != NO_COMPRESSION:
            read = sum(min(self._end(number), len(data)) - self._offsets[number] for number in range(grid.segments))
            if read > 2 * len(data):
                raise ImageRejected("damaged")  # segments that overlap take more time than the file is worth

    def bytes(self, number: int, size: int) -> bytes:
        """Return the bytes of a segment, of which there are ``size`` where nothing is compressed."""
        offset = self._offsets[number]
        segment = self._data[offset : offset + size if self.compression == NO_COMPRESSION else self._end(number)]
        return segment.translate(_REVERSED_BITS) if self._reversed else segment

    def is_cut(self, number: int) -> bool:
        """Return whether the file ends before the segment."""
        return self._offsets[number] + self._count(number) > len(self._data)

    def _count(self, number: int) -> int:
        return self._counts[number] if number < len(self._counts) else 0

    def _end(self, number: int) -> int:
        """Return the end of a segment.

        Most decompressors stop by themselves, so a stated length may be wrong.
        """
        offset, count = self._offsets[number], self._count(number)
        needs_length = self.compression in ZSTD or self.compression in IMAGE_CODECS
        return offset + count if count and needs_length else self._next[offset]


def _decode(encoded: _Encoded, number: int, grid: _Grid, page: tifffile.TiffPage, rows: int) -> NDArray[Any]:
    """Return the (rows, columns, channels) samples of one segment."""
    size = rows * grid.row_bytes
    segment = encoded.bytes(number, size)
    shape = (rows, grid.columns, grid.channels)
    if encoded.compression in IMAGE_CODECS:
        return decode_image_segment(segment, IMAGE_CODECS[encoded.compression], shape, grid.dtype)
    if size % 2 and encoded.compression in LIBTIFF_COMPRESSIONS and encoded.is_cut(number):
        raise ImageRejected("truncated")
    try:
        segment = _decompress(segment, encoded.compression, rows, grid.row_bytes)
    except EOFError as problem:
        raise ImageRejected("truncated" if encoded.is_cut(number) else "damaged") from problem
    if len(segment) < size:
        raise ImageRejected("truncated")
    if grid.bits not in (8, 16, 32, 64):
        return _unpack_bits(segment[:size], shape, grid.bits, grid.dtype)
    return _undo_predictor(segment[:size], page, shape, grid.dtype)


def _decompress(segment: bytes, compression: int, rows: int, row_bytes: int) -> bytes:
    """Return at most ``rows * row_bytes`` bytes of a compressed segment."""
    size = rows * row_bytes
    if compression in LIBTIFF_COMPRESSIONS:
        return _decompress_with_libtiff(segment, compression, rows, row_bytes)
    if compression in DEFLATE:
        return zlib.decompressobj().decompress(segment, size)
    if compression == LZMA:
        return lzma.LZMADecompressor().decompress(segment, size)
    if compression in ZSTD:
        return bytes(imagecodecs("a TIFF compressed by Zstandard").zstd_decode(segment, out=size))
    return segment


def _undo_predictor(segment: bytes, page: tifffile.TiffPage, shape: tuple[int, int, int], dtype: Any) -> NDArray[Any]:
    samples: NDArray[Any]
    match int(page.predictor):
        case 1:
            samples = np.frombuffer(segment, dtype.newbyteorder(page.parent.byteorder))
        case 2 if dtype.kind == "u":
            differences = np.frombuffer(segment, dtype.newbyteorder(page.parent.byteorder)).reshape(shape)
            samples = np.cumsum(differences, axis=1, dtype=dtype)
        case 3 if dtype.kind == "f":  # the bytes of a row are sorted by significance, then differenced
            rows, columns, channels = shape
            differences = np.frombuffer(segment, np.uint8).reshape(rows, columns * dtype.itemsize, channels)
            planes = np.cumsum(differences, axis=1, dtype=np.uint8).reshape(rows, dtype.itemsize, columns * channels)
            samples = np.ascontiguousarray(np.moveaxis(planes, 1, -1)).view(dtype.newbyteorder(">"))
        case predictor:
            raise ImageRejected("unsupported_compression", kind=f"predictor {predictor}")
    return samples.reshape(shape)


def _unpack_bits(segment: bytes, shape: tuple[int, int, int], bits: int, dtype: Any) -> NDArray[Any]:
    """Return samples that are packed without gaps, the most significant bit first.

    Each row starts at a byte.
    """
    rows, columns, channels = shape
    packed = np.frombuffer(segment, np.uint8).reshape(rows, -1)
    samples: NDArray[Any] = np.empty((rows, columns * channels), dtype)
    weights = (1 << np.arange(bits)[::-1]).astype(dtype)
    step = max(1, UNPACK_BITS // packed.shape[1])
    for top in range(0, rows, step):
        unpacked = np.unpackbits(packed[top : top + step], axis=1, count=columns * channels * bits)
        samples[top : top + step] = unpacked.reshape(len(unpacked), -1, bits) @ weights
    return samples.reshape(shape)


def _decompress_with_libtiff(segment: bytes, compression: int, rows: int, row_bytes: int) -> bytes:
    """Return the ``rows * row_bytes`` bytes of a segment, from a TIFF written for OpenCV.

    The strip has 16 bits wherever the number of bytes is even, because OpenCV ignores faults in strips of 8 bits.

    Raises:
        EOFError: the segment holds fewer bytes, or is damaged.
    """
    if row_bytes % 2 == 0:
        bits, width, height = 16, row_bytes // 2, rows
    elif rows % 2 == 0:
        bits, width, height = 16, row_bytes, rows // 2
    else:
        bits, width, height = 8, row_bytes, rows
        if rows > 1:  # find faults in all rows but the last
            _decompress_with_libtiff(segment, compression, rows - 1, row_bytes)
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, compression),
        (262, 3, MIN_IS_BLACK),
        (273, 4, 8 + 2 + 12 * 9 + 4),  # the strip follows the directory
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(segment)),
    ]
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    pixels = decode_with_opencv(struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + directory + bytes(4) + segment)
    if pixels is None:
        raise EOFError
    return pixels.astype(f"<u{bits // 8}", copy=False).tobytes()
