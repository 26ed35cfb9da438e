"""TIFF files: the page with the image, and its samples as grey."""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from karyotyping.image.bounds import ImageRejected, Limits, check_size
from karyotyping.image.colour import grey_of, grey_of_palette, integers_of, oriented, rgb_of
from karyotyping.image.raster import ORIENTATION, grey_image, open_image
from karyotyping.image.selection import Selection
from karyotyping.image.tiff_samples import MIN_IS_BLACK, bits_per_sample, is_readable, read_samples
from karyotyping.image.tiff_stack import Stack, stack_of

MAX_PAGES = 4096  # pages and SubIFDs that are compared
JPEG_COMPRESSION = 7
MIN_IS_WHITE, RGB, PALETTE, CMYK, YCBCR, CIELAB = 0, 2, 3, 5, 6, 8  # photometric interpretations
UIC2 = 33629  # tag with one value for each plane of a MetaMorph stack
ALPHAS = (1, 2)  # extra samples: associated and unassociated alpha

_PILLOW_MODES = {CMYK: "CMYK", YCBCR: "YCbCr", CIELAB: "LAB"}

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # ImageRejected reports faults


def decode_tiff(data: bytes, limits: Limits, selection: Selection) -> NDArray[Any]:
    """Return the (H, W) grey pixels of a TIFF file, turned upright.

    The image is the largest page that is no reduced copy, be it a later page or in a SubIFD. Several pages of that
    size are the channels and planes of OME-TIFF and of ImageJ, or planes.

    Args:
        data: content of the file.
        limits: bounds on pixels.
        selection: chosen channel and plane.

    Raises:
        ImageRejected: the file is no usable image.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        if len(tiff.pages) == 0:  # the image directory, often at the end of the file, is missing
            raise ImageRejected("truncated")
        stack = stack_of(tiff)
        if stack is not None:
            page, sample = _page_of_stack(tiff, stack, selection)
        else:
            page, sample = _full_page(list(islice(_pages(tiff), MAX_PAGES + 1)), selection), None
        return _decode_page(data, page, limits, sample)


def _pages(tiff: tifffile.TiffFile) -> Iterator[tifffile.TiffPage]:
    """Yield the pages of a file, each followed by its SubIFDs."""
    for page in tiff.pages:
        if isinstance(page, tifffile.TiffPage):
            yield page
            with suppress(
                tifffile.TiffFileError, struct.error, IndexError, ValueError
            ):  # a damaged reduced copy harms nobody
                yield from (sub for sub in page.pages or () if isinstance(sub, tifffile.TiffPage))


def _full_page(pages: list[tifffile.TiffPage], selection: Selection) -> tifffile.TiffPage:
    """Return the page with the image.

    Raises:
        ImageRejected: ``multi_page`` or ``no_such_plane``.
    """
    images = [page for page in pages if not page.is_mask]
    images = [page for page in images if not page.is_reduced] or images or pages
    largest = max(images, key=lambda page: page.imagewidth * page.imagelength)
    planes = [page for page in images if page is largest or not _is_copy(page, largest)]
    if len(planes) == 1:
        return largest
    if selection.plane is None or len(pages) > MAX_PAGES:
        raise ImageRejected("multi_page")
    return planes[selection.choose([""], len(planes))[1]]


def _is_copy(page: tifffile.TiffPage, largest: tifffile.TiffPage) -> bool:
    """Return whether a page without a mark is a reduced copy.

    Such a page is half as large at most, or smaller with the same proportions.
    """
    width, height = largest.imagewidth, largest.imagelength
    if page.imagewidth >= width or page.imagelength >= height:
        return False
    is_small = 2 * page.imagewidth <= width + 1 and 2 * page.imagelength <= height + 1
    return is_small or abs(page.imagewidth * height - page.imagelength * width) <= max(width, height)


def _page_of_stack(tiff: tifffile.TiffFile, stack: Stack, selection: Selection) -> tuple[tifffile.TiffPage, int | None]:
    """Return the page of the chosen channel and plane, and the sample if samples are channels."""
    channel, plane = selection.choose(stack.channels, stack.planes)
    number = stack.page_of(channel, plane)
    if number is None:
        raise ImageRejected("unsupported_format", kind="one of several files of an OME-TIFF, without this plane")
    if number >= len(tiff.pages):
        raise ImageRejected("truncated")
    page = tiff.pages[number]
    if not isinstance(page, tifffile.TiffPage):
        raise ImageRejected("damaged")
    return page, channel if stack.samples_are_channels else None


def _decode_page(data: bytes, page: tifffile.TiffPage, limits: Limits, sample: int | None) -> NDArray[Any]:
    """Return the (H, W) grey pixels of a page; of one of its samples if ``sample`` is given."""
    check_size(page.imagewidth, page.imagelength, limits)
    planes = page.tags.get(UIC2) if page.is_stk else None
    if page.imagedepth > 1 or (planes is not None and planes.count > 1):
        raise ImageRejected("multi_page")
    photometric, compression = int(page.photometric or 0), int(page.compression)
    if photometric not in (MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, *_PILLOW_MODES):
        raise ImageRejected("unsupported_colour", kind=getattr(page.photometric, "name", str(photometric)))
    bits = bits_per_sample(page)
    if not page.dataoffsets:
        raise ImageRejected("truncated")
    if compression == JPEG_COMPRESSION or (photometric == YCBCR and is_readable(compression)):
        return _decode_with_pillow(data, page)
    if not is_readable(compression):
        raise ImageRejected("unsupported_compression", kind=getattr(page.compression, "name", str(compression)))
    if photometric == PALETTE and bits > 8:
        raise ImageRejected("unsupported_colour", kind=f"a palette of {bits} bits")
    if photometric in _PILLOW_MODES and bits != 8:
        raise ImageRejected("unsupported_colour", kind=f"{bits}-bit {_PILLOW_MODES[photometric]}")
    if bits == 1 and photometric != PALETTE:
        raise ImageRejected("unsupported_pixel_type", kind="black or white, without the greys that bands need")
    samples = read_samples(data, page, limits)
    samples = samples if sample is None else samples[..., sample : sample + 1]
    return oriented(_grey(samples, page, photometric, bits), int(page.tags.valueof(ORIENTATION, 1)))


def _grey(samples: NDArray[Any], page: tifffile.TiffPage, photometric: int, bits: int) -> NDArray[Any]:
    """Return the (H, W) grey pixels of the (H, W, C) samples of a page."""
    channels = samples.shape[2]
    if photometric == PALETTE:
        return grey_of_palette(samples[..., 0], _palette(page))
    if photometric in (CMYK, CIELAB):
        mode = _PILLOW_MODES[photometric]
        inks = np.ascontiguousarray(samples[..., : len(mode)])
        image = Image.frombytes(mode, (inks.shape[1], inks.shape[0]), inks.tobytes())
        return grey_of(rgb_of(image), 3, has_alpha=False)
    if samples.dtype.kind == "f":
        samples = integers_of(samples)
    elif bits < 8:
        samples = samples * np.uint8(255 // (2**bits - 1))
    if photometric == MIN_IS_WHITE:
        samples = (2**bits - 1 if 8 < bits < 16 else np.iinfo(samples.dtype).max) - samples
    colours = 3 if photometric == RGB and channels >= 3 else 1
    extra = page.extrasamples[:1] if channels > colours else ()
    return grey_of(samples, colours, has_alpha=bool(extra) and int(extra[0]) in ALPHAS)


def _palette(page: tifffile.TiffPage) -> NDArray[Any]:
    """Return the (N, 3) palette of a page, uint8.

    Some programs write 8-bit values into its 16 bits.
    """
    colours = np.asarray(page.colormap).T
    return (colours if colours.max() < 256 else colours >> 8).astype(np.uint8)


def _decode_with_pillow(data: bytes, page: tifffile.TiffPage) -> NDArray[Any]:
    """Return the (H, W) grey pixels of a page of JPEGs or YCbCr, which Pillow turns upright."""
    segments = zip(page.dataoffsets, page.databytecounts, strict=False)
    if any(offset + count > len(data) for offset, count in segments):
        raise ImageRejected("truncated")
    parent = page.parent
    start, form = (8, "Q") if parent.is_bigtiff else (4, "I")
    link = struct.pack(parent.byteorder + form, page.offset)  # the page becomes the first one
    try:
        return grey_image(open_image(data[:start] + link + data[start + len(link) :], "TIFF"))
    except UnidentifiedImageError as problem:
        kind = f"{page.samplesperpixel} channels of {page.bitspersample} bits in an unusual layout"
        raise ImageRejected("unsupported_pixel_type", kind=kind) from problem
