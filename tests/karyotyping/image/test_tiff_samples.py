"""Samples of TIFF pages in the layouts that cameras and programs write."""

from __future__ import annotations

import io
import sys
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from karyotyping.image.decode import ImageRejected, Limits, decode
from tests.support.image_files import LONG, SHORT, pack_bits, raw_tiff, tiff

RANDOM = np.random.default_rng(5)
GREY = RANDOM.integers(0, 256, (80, 91), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65_536, (80, 91), dtype=np.uint16)
TRUE = {8: GREY, 16: DEEP}
SMOOTH = np.add.outer(np.arange(80), np.arange(96)).astype(np.uint8)


def reason(data: bytes, **options: Any) -> str:
    with pytest.raises(ImageRejected) as caught:
        decode(data, **options)
    return caught.value.reason


def strips(pixels: NDArray[Any], rows: int) -> list[bytes]:
    return [pixels[top : top + rows].tobytes() for top in range(0, len(pixels), rows)]


def compressed(pixels: NDArray[Any], rows: int, compression: int) -> list[bytes]:
    """Strips as tifffile compresses them."""
    if compression == 1:
        return strips(pixels, rows)
    data = tiff(pixels, compression=compression, rowsperstrip=rows)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        segments = zip(page.dataoffsets, page.databytecounts, strict=True)
        return [data[offset : offset + count] for offset, count in segments]


@pytest.mark.parametrize("bits", [8, 16])
def test_undefined_samples_are_unsigned(bits: int) -> None:
    data = raw_tiff(GREY.shape, [TRUE[bits].tobytes()], {258: (SHORT, [bits]), 339: (SHORT, [4])})
    np.testing.assert_array_equal(decode(data).pixels, TRUE[bits])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "predictor": 3}, {"tile": (32, 32)}])
def test_fractions_become_sixteen_bits(dtype: Any, options: dict[str, Any]) -> None:
    fractions = (GREY / 255).astype(dtype)
    image = decode(tiff(fractions, **options))
    np.testing.assert_array_equal(image.pixels, np.rint(fractions.astype(np.result_type(dtype, np.float32)) * 65_535))
    assert image.bit_depth == 16


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_floating_point_grey_levels_are_kept(byte_order: Any) -> None:
    np.testing.assert_array_equal(decode(tiff(DEEP.astype(np.float32), byteorder=byte_order)).pixels, DEEP)


@pytest.mark.parametrize("value", [-1, 65_536, np.nan, np.inf])
def test_floating_point_out_of_range_is_rejected(value: float) -> None:
    levels = GREY.astype(np.float32)
    levels[5, 5] = value
    assert reason(tiff(levels)) == "unsupported_pixel_type"


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("extra", [1, 2])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_unspecified_extra_samples_are_ignored(bits: int, colours: int, extra: int, planes: Any) -> None:
    true = TRUE[bits]
    pixels = np.stack([true] * colours + [true[::-1]] * extra, axis=0 if planes == "separate" else -1)
    photometric: Any = "rgb" if colours == 3 else "minisblack"
    data = tiff(pixels, photometric=photometric, planarconfig=planes, extrasamples=[0] * extra)
    np.testing.assert_array_equal(decode(data).pixels, true)


@pytest.mark.parametrize("alpha", [0, 9, 255])
def test_alpha_that_is_the_same_everywhere_is_ignored(alpha: int) -> None:
    data = tiff(np.dstack([GREY, np.full_like(GREY, alpha)]), photometric="minisblack", extrasamples=[2])
    np.testing.assert_array_equal(decode(data).pixels, GREY)
    holes = tiff(np.dstack([GREY, GREY]), photometric="minisblack", extrasamples=[2])
    assert reason(holes) == "transparent_image"


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("white", [False, True])
def test_packed_samples_keep_their_levels(bits: int, white: bool) -> None:
    levels = DEEP >> (16 - bits)
    packed = pack_bits(levels, bits)
    data = raw_tiff(GREY.shape, [packed], {258: (SHORT, [bits]), 262: (SHORT, [int(not white)])})
    np.testing.assert_array_equal(decode(data).pixels, 2**bits - 1 - levels if white else levels)


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_are_spread_over_eight(bits: int) -> None:
    levels = GREY >> (8 - bits)
    data = raw_tiff(GREY.shape, [pack_bits(levels, bits)], {258: (SHORT, [bits])})
    np.testing.assert_array_equal(decode(data).pixels, levels * np.uint8(255 // (2**bits - 1)))


ODD_STRIPS: dict[str, Any] = {
    "counts are missing": {279: None},
    "counts are zero": {279: (LONG, [0] * 8)},
    "counts are too large": {279: (LONG, [10**6] * 8)},
    "there are too few counts": {279: (LONG, [910])},
    "rows are missing": {278: None},
    "rows are zero": {278: (LONG, [0])},
    "rows are more than the image has": {278: (LONG, [2**32 - 1])},
    "rows are too few": {278: (LONG, [1])},
}


@pytest.mark.parametrize("compression", [1, 5, 8, 32773])
@pytest.mark.parametrize("odd", ODD_STRIPS)
def test_contradictory_strips_are_read(compression: int, odd: str) -> None:
    data = raw_tiff(GREY.shape, compressed(GREY, 10, compression), {259: (SHORT, [compression])} | ODD_STRIPS[odd])
    np.testing.assert_array_equal(decode(data).pixels, GREY)


def test_counts_that_are_too_small_are_ignored() -> None:
    for compression in (1, 5, 8, 32773):
        tags = {259: (SHORT, [compression]), 279: (LONG, [5] * 8)}
        np.testing.assert_array_equal(
            decode(raw_tiff(GREY.shape, compressed(GREY, 10, compression), tags)).pixels, GREY
        )


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_one_strip_is_read_whatever_its_rows(rows: int) -> None:
    data = raw_tiff(GREY.shape, [GREY.tobytes()], {278: (LONG, [rows])})
    np.testing.assert_array_equal(decode(data).pixels, GREY)


@pytest.mark.parametrize("compression", [1, 5, 8, 32773])
def test_last_strip_cut_short_is_truncated(compression: int) -> None:
    data = raw_tiff(GREY.shape, compressed(GREY, 10, compression), {259: (SHORT, [compression])})
    assert reason(data[:-100]) == "truncated"


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits"])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 3}, {"tile": (16, 48)}])
@pytest.mark.parametrize("predictor", [False, True])
def test_separate_colours_are_read_in_every_compression(
    bits: int, compression: Any, layout: dict[str, Any], predictor: bool
) -> None:
    pixels = np.stack([TRUE[bits]] * 3)
    options = layout | ({"predictor": 2} if predictor and compression != "packbits" else {})
    data = tiff(pixels, photometric="rgb", planarconfig="separate", compression=compression, **options)
    np.testing.assert_array_equal(decode(data).pixels, TRUE[bits])


def test_bits_in_reverse_order_are_read() -> None:
    table = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
    data = raw_tiff(GREY.shape, [GREY.tobytes().translate(table)], {266: (SHORT, [2])})
    np.testing.assert_array_equal(decode(data).pixels, GREY)


def test_volumetric_tags_of_one_plane_are_ignored() -> None:
    np.testing.assert_array_equal(decode(tiff(DEEP[np.newaxis], volumetric=True, tile=(1, 32, 32))).pixels, DEEP)
    assert reason(raw_tiff((80, 91), [GREY.tobytes()] * 2, {32997: (LONG, [2])})) == "multi_page"


@pytest.mark.parametrize("compression", ["lzma", "zstd", "png", "jpegxl", "jpeg2000", "webp"])
def test_compression_of_the_extra_formats_is_read(compression: Any) -> None:
    pixels = np.dstack([SMOOTH] * 3) if compression == "webp" else SMOOTH
    lossless = {"compressionargs": {"lossless": True}} if compression in ("webp", "jpegxl") else {}
    data = tiff(pixels, compression=compression, rowsperstrip=16, **lossless)
    tolerance = 2 if compression == "webp" else 0
    np.testing.assert_allclose(decode(data).pixels.astype(int), SMOOTH, atol=tolerance)


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    zstd, jpegxl = (tiff(SMOOTH, compression=compression) for compression in ("zstd", "jpegxl"))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    for data in (zstd, jpegxl):
        with pytest.raises(ImageRejected, match=r"pip install 'karyoflow\[formats\]'") as caught:
            decode(data)
        assert caught.value.reason == "missing_extra"


def test_strip_that_is_larger_than_the_image_is_read_up_to_its_end() -> None:
    bomb = zlib.compress(GREY.tobytes() + bytes(50_000_000))
    np.testing.assert_array_equal(decode(raw_tiff(GREY.shape, [bomb], {259: (SHORT, [8])})).pixels, GREY)


@pytest.mark.parametrize("compression", ["jpeg2000", "jpegxl", "png", "webp"])
def test_codestream_of_another_size_is_damaged(compression: Any) -> None:
    pixels = np.zeros((500, 500, 3) if compression == "webp" else (500, 500), np.uint8)
    data = bytearray(tiff(pixels, compression=compression, byteorder="<"))
    for tag, value in ((256, 80), (257, 80), (278, 80)):
        with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
            entry = file.pages.first.tags[tag]
        size = 2 if entry.dtype == SHORT else 4
        data[entry.valueoffset : entry.valueoffset + size] = value.to_bytes(size, "little")
    assert reason(bytes(data)) == "damaged"


def test_claims_are_bounded_before_decoding() -> None:
    limits = Limits(max_pixels=80 * 91)
    assert decode(tiff(np.dstack([DEEP] * 3), photometric="rgb"), limits).bit_depth == 16
    assert (
        reason(tiff(np.dstack([DEEP] * 5), photometric="minisblack", planarconfig="contig"), limits=limits)
        == "too_many_pixels"
    )
    assert reason(tiff(GREY, tile=(1600, 1600)), limits=limits) == "too_many_pixels"
    same = raw_tiff(GREY.shape, [b"\x80" * 10_000] * 4, {259: (SHORT, [32773]), 273: (LONG, [0] * 4)})
    assert reason(same) == "damaged"
