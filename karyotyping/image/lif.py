"""LIF files of Leica, by the package liffile of the extra ``formats``."""

from __future__ import annotations

import io
import logging
import struct
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karyotyping.image.bounds import ImageRejected, Limits, check_size
from karyotyping.image.colour import grey_of, integers_of
from karyotyping.image.selection import Selection
from karyotyping.image.tiff_stack import parse_xml

logging.getLogger("liffile").setLevel(logging.CRITICAL)  # ImageRejected reports faults


def decode_lif(data: bytes, limits: Limits, selection: Selection) -> NDArray[Any]:
    """Return the (H, W) grey pixels of one channel and plane of a LIF file.

    Planes are numbered over the images of the file, and within each over its other axes as stored.

    Args:
        data: content of the file.
        limits: bounds on pixels.
        selection: chosen channel and plane.

    Raises:
        ImageRejected: the file is no usable image.
    """
    try:
        import liffile  # noqa: PLC0415
    except ImportError as problem:
        raise ImageRejected("missing_extra", kind="a LIF file") from problem
    (letters,) = struct.unpack_from("<I", data, 9)
    parse_xml(data[13 : 13 + 2 * letters].decode("utf-16-le"))  # liffile would resolve entities
    with liffile.LifFile(io.BytesIO(data)) as file:
        images = [image for image in file.images if not image.is_flim]
        if not images:
            raise ImageRejected("damaged")
        counts = [prod(_planes(image).values()) for image in images]
        channel, plane = selection.choose(_channel_names(images[0]), sum(counts))
        number = 0
        while plane >= counts[number]:
            plane -= counts[number]
            number += 1
        return _decode_frame(images[number], channel, plane, limits)


def _planes(image: Any) -> dict[str, int]:
    """Return the sizes of the axes that number the planes of an image, the slowest first."""
    return {axis: size for axis, size in image.sizes.items() if axis not in ("X", "Y", "S", "C")}


def _channel_names(image: Any) -> list[str]:
    """Return the names of the channels' lookup tables, such as Green."""
    channels = image.xml_element.findall("./Data/Image/ImageDescription/Channels/ChannelDescription")
    names = [channel.get("LUTName", "") for channel in channels]
    count = image.sizes.get("C", 1)
    return names if len(names) == count else [""] * count


def _decode_frame(image: Any, channel: int, plane: int, limits: Limits) -> NDArray[Any]:
    sizes = image.sizes
    check_size(sizes.get("X", 0), sizes.get("Y", 0), limits, sizes.get("S", 1) * image.dtype.itemsize)
    axes = _planes(image)
    indices = dict(zip(axes, map(int, np.unravel_index(plane, tuple(axes.values()))), strict=True)) if axes else {}
    if "C" in sizes:
        indices["C"] = channel
    samples = image.frame(**indices)
    samples = samples if samples.ndim == 3 else samples[..., np.newaxis]
    if image.frames.frame_dims[:2] != ("Y", "X") or samples.dtype.kind not in "uf" or samples.dtype.itemsize > 4:
        raise ImageRejected("unsupported_pixel_type", kind=f"{samples.dtype} over {image.frames.frame_dims}")
    samples = integers_of(samples) if samples.dtype.kind == "f" else samples
    return grey_of(samples, 3 if samples.shape[2] == 3 else 1, has_alpha=False)
