"""Image files as cameras write them, drawn byte by byte where no library does."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

SHORT, LONG = 3, 4  # types of TIFF tags
Tags = Mapping[int, tuple[int, Sequence[int]] | None]


def encode(pixels: Any, kind: str, **options: Any) -> bytes:
    """Return ``pixels``, an array or a Pillow image, as a file that Pillow writes."""
    stream = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(stream, kind, **options)
    return stream.getvalue()


def tiff(pixels: NDArray[Any], **options: Any) -> bytes:
    """Return ``pixels`` as a TIFF that tifffile writes."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def tiff_pages(*pages: tuple[NDArray[Any], dict[str, Any]]) -> bytes:
    """Return a TIFF of several pages, each with the options of tifffile."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for pixels, options in pages:
            writer.write(pixels, **options)
    return stream.getvalue()


def raw_tiff(shape: tuple[int, int], strips: Sequence[bytes], tags: Tags | None = None) -> bytes:
    """Return a little-endian grey TIFF of one page, 8 bits unless ``tags`` say otherwise.

    Args:
        shape: (H, W).
        strips: encoded strips, or tiles if ``tags`` say where they are.
        tags: type and values by code, in addition or instead; None removes a tag. An offset is counted from the first
            strip.
    """
    height, width = shape
    starts = [sum(map(len, strips[:n])) for n in range(len(strips))]
    entries: dict[int, tuple[int, Sequence[int]] | None] = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [8]),
        259: (SHORT, [1]),
        262: (SHORT, [1]),
        273: (LONG, starts),
        277: (SHORT, [1]),
        278: (LONG, [-(-height // len(strips))]),
        279: (LONG, [len(strip) for strip in strips]),
        **(tags or {}),
    }
    present = {code: entry for code, entry in sorted(entries.items()) if entry is not None}
    after_directory = 8 + 2 + 12 * len(present) + 4
    sizes = {code: len(values) * (2 if kind == SHORT else 4) for code, (kind, values) in present.items()}
    first_strip = after_directory + sum(size for size in sizes.values() if size > 4)
    directory, outside = b"", b""
    for code, (kind, values) in present.items():
        moved = [value + first_strip for value in values] if code in (273, 324) else values
        packed = struct.pack(f"<{len(moved)}{'H' if kind == SHORT else 'I'}", *moved)
        if len(packed) > 4:
            packed, outside = struct.pack("<I", after_directory + len(outside)), outside + packed
        directory += struct.pack("<HHI4s", code, kind, len(values), packed)
    header = struct.pack("<2sHIH", b"II", 42, 8, len(present))
    return header + directory + bytes(4) + outside + b"".join(strips)


def pack_bits(samples: NDArray[Any], bits: int) -> bytes:
    """Return (H, N) samples packed without gaps, the most significant bit first."""
    shifts = np.arange(bits)[::-1]
    unpacked = (samples[..., np.newaxis] >> shifts & 1).astype(np.uint8).reshape(len(samples), -1)
    return np.packbits(unpacked, axis=1).tobytes()


def czi(tiles: Sequence[tuple[Mapping[str, int], bytes]], shape: tuple[int, int], **entry: int) -> bytes:
    """Return a CZI with the channels DAPI and TRITC in its metadata.

    Args:
        tiles: start by axis, and encoded pixels.
        shape: (H, W) of every tile.
        entry: ``pixel_type`` and ``compression`` of every tile, 0 unless given; ``stored`` is the width of a reduced
            copy.
    """
    channels = "".join(f'<Channel Id="Channel:{n}" Name="{name}"/>' for n, name in enumerate(("DAPI", "TRITC")))
    path = ("ImageDocument", "Metadata", "Information", "Image", "Dimensions", "Channels")
    xml = "".join(f"<{name}>" for name in path) + channels + "".join(f"</{name}>" for name in reversed(path))
    metadata = _segment(b"ZISRAWMETADATA", struct.pack("<ii248x", len(xml), 0) + xml.encode())
    body, entries, header_size = metadata, b"", 32 + 512
    for start, pixels in tiles:
        position = header_size + len(body)
        directory_entry = _czi_entry(start, shape, position, **entry)
        fixed = (struct.pack("<iiq", 0, 0, len(pixels)) + directory_entry).ljust(256, b"\0")
        body += _segment(b"ZISRAWSUBBLOCK", fixed + pixels)
        entries += directory_entry
    directory = _segment(b"ZISRAWDIRECTORY", struct.pack("<i124x", len(tiles)) + entries)
    header = struct.pack("<ii8x32xiqq", 1, 0, 0, header_size + len(body), header_size).ljust(512, b"\0")
    return _segment(b"ZISRAWFILE", header) + body + directory


def _czi_entry(
    start: Mapping[str, int],
    shape: tuple[int, int],
    position: int,
    *,
    pixel_type: int = 0,
    compression: int = 0,
    stored: int = 0,
) -> bytes:
    sizes = {"X": shape[1], "Y": shape[0]}
    axes = b"".join(
        struct.pack(
            "<4siifi", axis.encode(), first, sizes.get(axis, 1), 0.0, (axis == "X" and stored) or sizes.get(axis, 1)
        )
        for axis, first in {"X": 0, "Y": 0, **start}.items()
    )
    return struct.pack("<2siqiiB5xi", b"DV", pixel_type, position, 0, compression, 0, len(axes) // 20) + axes


def _segment(name: bytes, content: bytes) -> bytes:
    return struct.pack("<16sqq", name, len(content), len(content)) + content


def lif(pixels: NDArray[Any], names: Sequence[str], images: int = 1) -> bytes:
    """Return a LIF of several images, each (planes, channels, H, W) of one dtype."""
    item = pixels.itemsize
    planes, _, height, width = pixels.shape
    plane_bytes = item * height * width
    channels = "".join(
        f'<ChannelDescription DataType="{int(pixels.dtype.kind == "f")}" ChannelTag="0" Resolution="{8 * item}" '
        f'NameOfMeasuredQuantity="" Min="0" Max="1" Unit="" LUTName="{name}" IsLUTInverted="0" '
        f'BytesInc="{n * plane_bytes}" BitInc="0"/>'
        for n, name in enumerate(names)
    )
    dimensions = "".join(
        f'<DimensionDescription DimID="{number}" NumberOfElements="{size}" Origin="0" Length="1" Unit="m" '
        f'BytesInc="{step}" BitInc="0"/>'
        for number, size, step in ((1, width, item), (2, height, item * width), (3, planes, plane_bytes * len(names)))
    )
    elements = "".join(
        f'<Element Name="Series{n}"><Data><Image><ImageDescription><Channels>{channels}</Channels>'
        f"<Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>"
        f'<Memory Size="{pixels.nbytes}" MemoryBlockID="MemBlock_{n}"/></Element>'
        for n in range(images)
    )
    root = f'<Element Name="all"><Children>{elements}</Children></Element>'
    xml = f'<LMSDataContainerHeader Version="2">{root}</LMSDataContainerHeader>'
    data = struct.pack("<IIBI", 0x70, 2 * len(xml) + 5, 0x2A, len(xml)) + xml.encode("utf-16-le")
    for n in range(images):
        name = f"MemBlock_{n}"
        data += struct.pack("<IIBQBI", 0x70, 2 * len(name) + 14, 0x2A, pixels.nbytes, 0x2A, len(name))
        data += name.encode("utf-16-le") + pixels.tobytes()
    return data
