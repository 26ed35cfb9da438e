"""CZI files of Zeiss: the directory of sub-blocks, and the tiles of one channel and plane.

Format: Carl Zeiss Microscopy, ZISRAW (CZI) File Format (2016). Compression other than none needs the extra
``formats``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from karyotyping.image.bounds import ImageRejected, Limits, check_size
from karyotyping.image.codecs import decode_image_segment, imagecodecs
from karyotyping.image.colour import grey_of, integers_of
from karyotyping.image.selection import Selection
from karyotyping.image.tiff_stack import parse_xml

MAX_OVERLAP = 2  # pixels of all tiles over the largest number of pixels of an image
SEGMENT_HEADER = 32  # bytes: identifier, size
PLANE_AXES = "SBIHRVTZ"  # axes that number the planes, the slowest first

_HEADER = struct.Struct("<48xi2q")  # after the segment header: file part, positions of directory and metadata
_ENTRY = struct.Struct("<2siqiiB9x")  # schema, pixel type, file position, file part, compression, pyramid type
_AXIS = struct.Struct("<4sii4xi")  # name, start, size, stored size
_SUB_BLOCK = struct.Struct("<iiq")  # sizes of metadata, attachment and data, in bytes
_PIXEL_TYPES = {  # dtype, channels; colour is BGR
    0: ("<u1", 1),
    1: ("<u2", 1),
    2: ("<f4", 1),
    3: ("<u1", 3),
    4: ("<u2", 3),
    9: ("<u1", 4),
}
_OTHER_COMPRESSIONS = {2: "LZW", 4: "JPEG XR"}


@dataclass(frozen=True, slots=True)
class _Tile:
    """One sub-block at full resolution."""

    channel: int
    plane: tuple[int, ...]
    x: int
    y: int
    width: int
    height: int
    mosaic: int
    """Later tiles cover earlier ones."""
    pixel_type: int
    compression: int
    position: int
    """Byte of the file where the segment begins."""
    axes: int
    """Number of axes in the directory entry."""


def decode_czi(data: bytes, limits: Limits, selection: Selection) -> NDArray[Any]:
    """Return the (H, W) grey pixels of one channel and plane of a CZI file.

    Planes are numbered over scenes, times and focus, the latter fastest. The tiles of a mosaic are put together.

    Args:
        data: content of the file.
        limits: bounds on pixels.
        selection: chosen channel and plane.

    Raises:
        ImageRejected: the file is no usable image.
    """
    _, directory, metadata = _HEADER.unpack_from(data, SEGMENT_HEADER)
    tiles = _tiles(data, directory)
    if not tiles:
        raise ImageRejected("damaged")
    numbers = sorted({tile.channel for tile in tiles})
    planes = sorted({tile.plane for tile in tiles})
    names = _channel_names(data, metadata)
    channel, plane = selection.choose([names.get(number, "") for number in numbers], len(planes))
    return _mosaic(data, [t for t in tiles if (t.channel, t.plane) == (numbers[channel], planes[plane])], limits)


def _segment(data: bytes, position: int, name: bytes) -> int:
    """Return the position of the content of a segment."""
    if position < 0 or position + SEGMENT_HEADER > len(data):
        raise ImageRejected("truncated")
    if data[position : position + len(name)] != name:
        raise ImageRejected("damaged")
    return position + SEGMENT_HEADER


def _tiles(data: bytes, directory: int) -> list[_Tile]:
    """Return the tiles at full resolution, sorted by mosaic index."""
    start = _segment(data, directory, b"ZISRAWDIRECTORY")
    (count,) = struct.unpack_from("<i", data, start)
    offset, tiles = start + 128, []
    for _ in range(count):
        schema, pixel_type, position, _, compression, _ = _ENTRY.unpack_from(data, offset)
        (axis_count,) = struct.unpack_from("<i", data, offset + _ENTRY.size - 4)
        if schema != b"DV" or not 0 < axis_count <= 32:
            raise ImageRejected("damaged")
        offset += _ENTRY.size
        axes = {}
        for _ in range(axis_count):
            name, first, size, stored = _AXIS.unpack_from(data, offset)
            axes[name.rstrip(b"\0").decode("ascii")] = first, size, stored
            offset += _AXIS.size
        (x, width, stored_width), (y, height, stored_height) = axes["X"], axes["Y"]
        if (width, height) == (stored_width, stored_height):  # others are reduced copies
            at = {name: first for name, (first, _, _) in axes.items()}
            plane = tuple(at.get(name, 0) for name in PLANE_AXES)
            tile = _Tile(
                *(at.get("C", 0), plane, x, y, width, height, at.get("M", 0)),
                *(pixel_type, compression, position, axis_count),
            )
            tiles.append(tile)
    return sorted(tiles, key=lambda tile: tile.mosaic)


def _channel_names(data: bytes, metadata: int) -> dict[int, str]:
    """Return the names of channels by number; empty for metadata that cannot be read."""
    start = _segment(data, metadata, b"ZISRAWMETADATA")
    (size,) = struct.unpack_from("<i", data, start)
    try:
        root = parse_xml(data[start + 256 : start + 256 + size])
    except ElementTree.ParseError:
        return {}
    channels = root.findall("./Metadata/Information/Image/Dimensions/Channels/Channel")
    return {number: channel.get("Name", "") for number, channel in enumerate(channels)}


def _mosaic(data: bytes, tiles: Sequence[_Tile], limits: Limits) -> NDArray[Any]:
    left, top = min(tile.x for tile in tiles), min(tile.y for tile in tiles)
    width = max(tile.x + tile.width for tile in tiles) - left
    height = max(tile.y + tile.height for tile in tiles) - top
    pixel_type = tiles[0].pixel_type
    if pixel_type not in _PIXEL_TYPES or any(tile.pixel_type != pixel_type for tile in tiles):
        raise ImageRejected("unsupported_pixel_type", kind=f"of the CZI type {pixel_type}")
    dtype, channels = np.dtype(_PIXEL_TYPES[pixel_type][0]), _PIXEL_TYPES[pixel_type][1]
    check_size(width, height, limits, channels * dtype.itemsize)
    if any(min(tile.width, tile.height) <= 0 for tile in tiles):
        raise ImageRejected("damaged")
    if sum(tile.width * tile.height for tile in tiles) > MAX_OVERLAP * limits.max_pixels:
        raise ImageRejected("too_many_pixels", limit=limits.max_pixels)
    samples = np.zeros((height, width, channels), dtype)
    for tile in tiles:
        x, y = tile.x - left, tile.y - top
        samples[y : y + tile.height, x : x + tile.width] = _decode_tile(data, tile, dtype, channels)
    if dtype.kind == "f":
        samples = integers_of(samples)
    return grey_of(
        samples[..., [2, 1, 0, 3][:channels]] if channels > 1 else samples, min(channels, 3), has_alpha=False
    )


def _decode_tile(data: bytes, tile: _Tile, dtype: np.dtype[Any], channels: int) -> NDArray[Any]:
    """Return the (height, width, channels) samples of a tile."""
    start = _segment(data, tile.position, b"ZISRAWSUBBLOCK")
    metadata_size, _, size = _SUB_BLOCK.unpack_from(data, start)
    start += max(256, _SUB_BLOCK.size + _ENTRY.size + tile.axes * _AXIS.size) + metadata_size
    if min(metadata_size, size) < 0 or start + size > len(data):
        raise ImageRejected("truncated")
    encoded, shape = data[start : start + size], (tile.height, tile.width, channels)
    expected = tile.height * tile.width * channels * dtype.itemsize
    match tile.compression:
        case 0:  # raw
            samples = encoded[:expected]
        case 1:  # JPEG
            rgb = decode_image_segment(encoded, "jpeg", shape, dtype)
            return rgb[..., ::-1]
        case 5 | 6 as method:  # Zstandard; the second has a header
            samples = _decompress_zstd(encoded, expected, has_header=method == 6)
        case other:
            raise ImageRejected("unsupported_compression", kind=_OTHER_COMPRESSIONS.get(other, f"CZI method {other}"))
    if len(samples) < expected:
        raise ImageRejected("truncated")
    return np.frombuffer(samples, dtype).reshape(shape)


def _decompress_zstd(encoded: bytes, size: int, *, has_header: bool) -> bytes:
    """Return at most ``size`` bytes.

    The header may say that low bytes are stored before high bytes.
    """
    header = encoded[: encoded[0]] if has_header else b""
    codecs = imagecodecs("a CZI compressed by Zstandard")
    samples = bytes(codecs.zstd_decode(encoded[len(header) :], out=size))
    if len(header) >= 3 and header[1] == 1 and header[2] & 1:
        return np.frombuffer(samples, np.uint8).reshape(2, -1).T.tobytes()
    return samples
