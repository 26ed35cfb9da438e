"""The page of a TIFF that is the image, its palette, colours and orientation."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from karyotyping.image.decode import ImageRejected, decode
from tests.support.image_files import LONG, SHORT, encode, pack_bits, raw_tiff, tiff, tiff_pages

RANDOM = np.random.default_rng(6)
GREY = RANDOM.integers(0, 256, (80, 96), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65_536, (80, 96), dtype=np.uint16)
TRUE = {8: GREY, 16: DEEP}
REDUCED: dict[str, Any] = {"subfiletype": 1}
LZW: dict[str, Any] = {"compression": "lzw"}
SMOOTH = np.add.outer(np.arange(80), np.arange(96)).astype(np.uint8)


def reason(data: bytes, **options: Any) -> str:
    with pytest.raises(ImageRejected) as caught:
        decode(data, **options)
    return caught.value.reason


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("mark", [REDUCED, {}])
@pytest.mark.parametrize("options", [{}, LZW, {"tile": (32, 32)}])
def test_image_is_the_full_page_wherever_it_is(bits: int, mark: dict[str, Any], options: dict[str, Any]) -> None:
    true = TRUE[bits]
    small = np.ascontiguousarray(true[::2, ::2])
    full, thumbnail = (true, options), (small, mark)
    files = {
        "thumbnail first": tiff_pages(thumbnail, full),
        "thumbnail last": tiff_pages(full, thumbnail),
        "full page in a SubIFD": tiff_pages((small, mark | {"subifds": 1}), full),
        "thumbnail in a SubIFD": tiff_pages((true, options | {"subifds": 1}), thumbnail),
        "pyramid": tiff_pages(full, thumbnail, (np.ascontiguousarray(true[::4, ::4]), mark)),
        "thumbnail in colour": tiff_pages((np.dstack([GREY[::2, ::2]] * 3), mark | {"photometric": "rgb"}), full),
    }
    for name, data in files.items():
        np.testing.assert_array_equal(decode(data).pixels, true, err_msg=name)


@pytest.mark.parametrize(("big", "byte_order"), [(False, "<"), (False, ">"), (True, "<")])
def test_image_after_a_thumbnail_may_be_of_jpegs(big: bool, byte_order: Any) -> None:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, bigtiff=big, byteorder=byte_order) as writer:
        writer.write(SMOOTH[::2, ::2], subfiletype=1)
        writer.write(SMOOTH, compression="jpeg", compressionargs={"level": 100})
    np.testing.assert_allclose(decode(stream.getvalue()).pixels.astype(int), SMOOTH, atol=8)


def test_old_mark_of_a_reduced_page_counts() -> None:
    small = raw_tiff((70, 90), [GREY[:70, :90].tobytes()], {255: (SHORT, [2])})
    np.testing.assert_array_equal(decode(small).pixels, GREY[:70, :90])


def test_transparency_mask_is_no_image() -> None:
    mask = (np.zeros((80, 96), bool), {"subfiletype": 4, "photometric": 4})
    np.testing.assert_array_equal(decode(tiff_pages((GREY, {}), mask)).pixels, GREY)


def test_pages_of_equal_size_are_ambiguous_unless_one_is_chosen() -> None:
    series = tiff_pages((GREY, {}), (GREY[::-1].copy(), {}), (GREY[::2, ::2].copy(), REDUCED))
    assert reason(series) == "multi_page"
    np.testing.assert_array_equal(decode(series, plane=1).pixels, GREY[::-1])
    assert reason(series, plane=2) == "no_such_plane"


def test_stack_of_metamorph_is_several_images() -> None:
    stack = {33628: (LONG, [0, 0]), 33629: (LONG, [0] * 12)}
    assert reason(raw_tiff(GREY.shape, [GREY.tobytes()], stack)) == "multi_page"


def test_damaged_thumbnail_is_ignored() -> None:
    np.testing.assert_array_equal(
        decode(raw_tiff(GREY.shape, [GREY.tobytes()], {330: (LONG, [3, 10**9])})).pixels, GREY
    )


def test_pages_of_other_proportions_are_other_images() -> None:
    assert reason(tiff_pages((GREY, {}), (GREY[:, :70].copy(), {}))) == "multi_page"


def orientations(true: NDArray[Any]) -> dict[int, NDArray[Any]]:
    """What is stored so that ``true`` appears, by orientation (TIFF 6.0, tag 274)."""
    return {
        1: true,
        2: true[:, ::-1],
        3: true[::-1, ::-1],
        4: true[::-1],
        5: true.T,
        6: true.T[::-1],
        7: true[::-1, ::-1].T,
        8: true[::-1].T,
    }


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("options", [{}, LZW])
def test_orientation_is_applied_at_every_depth(bits: int, orientation: int, options: dict[str, Any]) -> None:
    stored = np.ascontiguousarray(orientations(TRUE[bits])[orientation])
    image = decode(tiff(stored, extratags=[(274, "H", 1, orientation, True)], **options))
    np.testing.assert_array_equal(image.pixels, TRUE[bits])
    assert (image.width, image.height) == (96, 80)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_agrees_with_pillow(orientation: int) -> None:
    stored = orientations(GREY)[orientation]
    image = Image.fromarray(np.ascontiguousarray(stored))
    image.getexif()[274] = orientation
    np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(image)), GREY)


@pytest.mark.parametrize("scale", [257, 256, 1])
def test_grey_palette_is_resolved_in_any_order(scale: int) -> None:
    order = RANDOM.permutation(256)
    colormap = np.stack([order * scale] * 3).astype(np.uint16)
    for options in ({}, LZW, {"tile": (32, 32)}):
        data = tiff(np.argsort(order).astype(np.uint8)[GREY], photometric="palette", colormap=colormap, **options)
        np.testing.assert_array_equal(decode(data).pixels, GREY)


def test_colours_that_no_pixel_uses_do_not_count() -> None:
    colormap = np.stack([np.arange(256) * 257] * 3).astype(np.uint16)
    colormap[:, 200:] = [[65_535], [0], [0]]
    data = tiff(GREY % 200, photometric="palette", colormap=colormap)
    np.testing.assert_array_equal(decode(data).pixels, GREY % 200)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_palette_of_few_bits_is_resolved(bits: int) -> None:
    indices, levels = GREY >> (8 - bits), np.linspace(255, 0, 2**bits).astype(np.uint8)
    colormap = np.tile(levels.astype(int) * 257, 3)
    tags = {258: (SHORT, [bits]), 262: (SHORT, [3]), 320: (SHORT, colormap.tolist())}
    np.testing.assert_array_equal(
        decode(raw_tiff(GREY.shape, [pack_bits(indices, bits)], tags)).pixels, levels[indices]
    )


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_coloured_palette_is_read_like_the_colours(kind: str) -> None:
    coloured = Image.fromarray(np.dstack([SMOOTH, SMOOTH[::-1], 255 - SMOOTH])).quantize(32)
    expected = decode(encode(coloured.convert("RGB"), "PNG")).pixels
    np.testing.assert_array_equal(decode(encode(coloured, kind)).pixels, expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_shuffled_grey_palette_is_grey(kind: str) -> None:
    order = RANDOM.permutation(256).astype(np.uint8)
    image = Image.fromarray(np.argsort(order).astype(np.uint8)[GREY], "L")
    image.putpalette(np.repeat(order, 3).tobytes())
    np.testing.assert_array_equal(decode(encode(image, kind)).pixels, GREY)


@pytest.mark.parametrize(("mode", "kind"), [("CMYK", "TIFF"), ("CMYK", "JPEG"), ("YCbCr", "TIFF"), ("LAB", "TIFF")])
def test_other_colour_spaces_are_converted(mode: str, kind: str) -> None:
    grey = Image.fromarray(np.dstack([SMOOTH] * 3))
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image: Any = ImageCms.applyTransform(grey, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    else:
        image = grey.convert(mode)
    np.testing.assert_allclose(decode(encode(image, kind)).pixels.astype(int), SMOOTH, atol=4)
