"""Codecs of the extra ``formats``, which decode into arrays of a size that is known before."""

from __future__ import annotations

import struct
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karyotyping.image.bounds import ImageRejected

JPEG_2000_MAGIC = b"\xff\x4f\xff\x51"
IMAGE_CODECS = {
    33005: "jpeg2k",
    34712: "jpeg2k",
    34933: "png",
    50001: "webp",
    50002: "jpegxl",
    52546: "jpegxl",
}
"""Codec of the package imagecodecs by TIFF compression.

JPEG XR is not among them, because damaged data makes its library end the process.
"""


def imagecodecs(purpose: str) -> ModuleType:
    """Return the package imagecodecs.

    Args:
        purpose: what needs it, in words for the user.

    Raises:
        ImageRejected: ``missing_extra``.
    """
    try:
        import imagecodecs as codecs  # noqa: PLC0415
    except ImportError as problem:
        raise ImageRejected("missing_extra", kind=purpose) from problem
    return codecs  # type: ignore[no-any-return, unused-ignore]


def decode_image_segment(segment: bytes, codec: str, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a segment whose codec knows width, height and channels itself.

    Args:
        segment: encoded bytes.
        codec: name of a codec of imagecodecs, such as a value of :data:`IMAGE_CODECS`.
        shape: (H, W, C) that the container claims; the codec stops before it decodes another one.
        dtype: of the samples.

    Raises:
        ImageRejected: ``missing_extra`` or ``damaged``.
    """
    codecs = imagecodecs(f"an image compressed by {codec}")
    if codec == "jpeg2k":  # this codec decodes before it compares the shape
        width, height = struct.unpack_from(">II", segment, 8)
        if not segment.startswith(JPEG_2000_MAGIC) or (height, width) != shape[:2]:
            raise ImageRejected("damaged")
    samples = np.empty(shape if shape[2] > 1 else shape[:2], dtype)
    getattr(codecs, f"{codec}_decode")(segment, out=samples)
    return samples.reshape(shape)
