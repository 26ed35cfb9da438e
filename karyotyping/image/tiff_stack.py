"""Channels and planes of OME-TIFF, ImageJ and LSM files."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import tifffile

from karyotyping.image.bounds import ImageRejected

MAX_CHANNELS = 4096  # channels of a file, more are damage


@dataclass(frozen=True, slots=True)
class Stack:
    """The pages of a file, one for each channel of each plane."""

    channels: tuple[str, ...]
    """Names; empty where the file has none."""
    planes: int
    samples_are_channels: bool
    """Whether a page holds all channels of a plane."""
    blocks: tuple[tuple[int, int, int], ...]
    """First page, first frame and number of frames of each run of pages."""
    strides: tuple[int, int, int]
    """Frames from one channel, focus and time to the next."""
    depth: int
    """Number of planes of each time."""

    def page_of(self, channel: int, plane: int) -> int | None:
        """Return the page number of a channel and plane, None if this file lacks it."""
        time, focus = divmod(plane, self.depth)
        channel = 0 if self.samples_are_channels else channel
        frame = sum(stride * n for stride, n in zip(self.strides, (channel, focus, time), strict=True))
        return next(
            (page + frame - first for page, first, count in self.blocks if first <= frame < first + count), None
        )


def parse_xml(text: str | bytes) -> ElementTree.Element:
    """Return the root of a document without a document type, which could define entities.

    Raises:
        ImageRejected: ``damaged``.
    """
    if ("<!DOCTYPE" if isinstance(text, str) else b"<!DOCTYPE") in text:  # type: ignore[operator]
        raise ImageRejected("damaged")
    return ElementTree.fromstring(text)


def stack_of(tiff: tifffile.TiffFile) -> Stack | None:
    """Return the channels and planes of a file that describes them, None for any other.

    Raises:
        ImageRejected: ``multi_page`` for several images of an OME-TIFF.
    """
    page = tiff.pages.first
    description = str(page.description)
    samples = 1 if page.photometric == 2 and not tiff.is_lsm else page.samplesperpixel
    if tiff.is_ome:
        with suppress(ElementTree.ParseError):  # a program cut the description short
            return _ome_stack(parse_xml(description), samples)
    if tiff.is_imagej and description.startswith("ImageJ="):
        return _imagej_stack(description, samples)
    if (
        tiff.is_lsm
        and samples > 1
        and sum(isinstance(other, tifffile.TiffPage) and not other.is_reduced for other in tiff.pages) == 1
    ):
        return Stack(("",) * samples, 1, True, ((0, 0, 1),), (0, 1, 1), 1)
    return None


def _ome_stack(root: ElementTree.Element, samples: int) -> Stack:
    """Return the stack of an OME-XML document (2016-06: Pixels, Channel and TiffData)."""
    images = root.findall("{*}Image/{*}Pixels")
    if len(images) != 1:
        raise ImageRejected("multi_page")
    pixels = images[0]
    size = {axis: max(1, int(pixels.get(f"Size{axis}", 1))) for axis in "CZT"}
    elements = pixels.findall("{*}Channel")
    size["C"] = max(1, size["C"] // max(1, int(elements[0].get("SamplesPerPixel", 1)) if elements else 1))
    names = [element.get("Name") or element.get("Fluor") or "" for element in elements]
    strides, stride = {}, 1
    for axis in pixels.get("DimensionOrder", "XYZCT")[2:5]:
        strides[axis] = stride
        stride *= size[axis]
    blocks = [_ome_block(element, strides, stride) for element in _own_tiff_data(root, pixels)]
    split = samples > 1 and size["C"] == 1
    count = samples if split else min(size["C"], MAX_CHANNELS)
    return Stack(
        channels=tuple((names + [""] * count)[:count]) if not split else ("",) * samples,
        planes=size["Z"] * size["T"],
        samples_are_channels=split,
        blocks=tuple(blocks) or ((0, 0, stride),),
        strides=(strides["C"], strides["Z"], strides["T"]),
        depth=size["Z"],
    )


def _own_tiff_data(root: ElementTree.Element, pixels: ElementTree.Element) -> list[ElementTree.Element]:
    """Return the TiffData elements without those of other files."""
    own = root.get("UUID")
    elements = [(element, element.find("{*}UUID")) for element in pixels.findall("{*}TiffData")]
    return [element for element, uuid in elements if uuid is None or own is None or uuid.text == own]


def _ome_block(element: ElementTree.Element, strides: dict[str, int], frames: int) -> tuple[int, int, int]:
    first = sum(stride * int(element.get(f"First{axis}", 0)) for axis, stride in strides.items())
    count = element.get("PlaneCount") or ("1" if "IFD" in element.attrib else str(frames))
    return int(element.get("IFD", 0)), first, int(count)


def _imagej_stack(description: str, samples: int) -> Stack | None:
    """Return the stack of ImageJ, whose pages are sorted by channel, slice and frame."""
    numbers: dict[str, Any] = dict(re.findall(r"^(images|channels|slices|frames)=(\d{1,9})\s*$", description, re.M))
    size = {key: max(1, int(value)) for key, value in numbers.items()}
    channels, slices, frames = (size.get(key, 1) for key in ("channels", "slices", "frames"))
    if channels * slices * frames == 1 and samples == 1:
        return None
    split = samples > 1 and samples == channels
    steps = 1 if split else channels
    total = steps * slices * frames
    return Stack(
        ("",) * min(channels, MAX_CHANNELS),
        slices * frames,
        split,
        ((0, 0, total),),
        (1, steps, steps * slices),
        slices,
    )
