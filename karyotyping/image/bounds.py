"""Bounds on image files, and the reasons for which a file is rejected."""

from __future__ import annotations

from dataclasses import dataclass

REASONS = {
    "empty_file": "The file is empty; copy it again from the microscope.",
    "too_many_bytes": "The file has {size:,} bytes and the limit is {limit:,}; compress it or raise the limit.",
    "not_an_image": "The file holds no image, whatever its name says; remove it or export the image again.",
    "unsupported_format": "The file is {kind}; export it as TIFF, PNG, JPEG or BMP.",
    "missing_extra": "Reading {kind} needs more packages; run: pip install 'karyoflow[formats]'.",
    "truncated": "The file ends before the image does; copy it again from the microscope.",
    "damaged": "The image cannot be decoded; copy it again, or export it again as TIFF or PNG.",
    "too_many_pixels": "The image claims more than {limit:,} pixels; crop it to the metaphase, or raise the limit.",
    "too_small": "The image is {width} x {height} pixels; send the whole of it, at least {least} pixels a side.",
    "unsupported_colour": "The colours are stored as {kind}; export the image as grey or RGB.",
    "unsupported_pixel_type": "The pixels are {kind}; export the image with 8 or 16 bits per channel.",
    "unsupported_compression": "The image is compressed by {kind}; export it uncompressed or with LZW or Deflate.",
    "transparent_image": "Parts of the image are transparent; flatten it before export.",
    "multi_page": "The file holds several images; export each as a file of its own.",
    "ambiguous_channel": "The file holds {content}; choose with {options} of karyo analyse, or export one as TIFF.",
    "no_such_channel": "The file has no channel {channel!r}; choose one of: {channels}.",
    "no_such_plane": "The file has no plane {plane}; its planes are 0 to {last}.",
}
"""Sentence for the user by rejection reason; each says what to do next."""

MAX_BYTES_PER_PIXEL = 8  # as decoded, before colour becomes grey; 16-bit RGBA has as many


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


DEFAULT_LIMITS = Limits()


def check_size(width: int, height: int, limits: Limits, bytes_per_pixel: int = 1) -> None:
    """Check the size of an image before its pixels are decoded.

    Args:
        width: px, as the header claims.
        height: px, as the header claims.
        limits: bounds on the size.
        bytes_per_pixel: of all channels together.

    Raises:
        ImageRejected: ``damaged``, ``too_many_pixels`` or ``too_small``.
    """
    if width <= 0 or height <= 0:
        raise ImageRejected("damaged")
    pixels = width * height
    if pixels > limits.max_pixels or pixels * bytes_per_pixel > MAX_BYTES_PER_PIXEL * limits.max_pixels:
        raise ImageRejected("too_many_pixels", limit=limits.max_pixels)
    if min(width, height) < limits.min_side:
        raise ImageRejected("too_small", width=width, height=height, least=limits.min_side)
