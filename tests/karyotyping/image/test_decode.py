"""Decoding of images as laboratories export them."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from karyotyping.image.decode import REASONS, ImageRejected, Limits, decode

RANDOM = np.random.default_rng(3)
GREY = RANDOM.integers(0, 256, (80, 90), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65_536, (80, 90), dtype=np.uint16)
LIMITS = Limits()
TRUE = {8: GREY, 16: DEEP}


def pillow(pixels: Any, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(stream, kind, **options)
    return stream.getvalue()


def tiff(pixels: NDArray[Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


def opencv(pixels: NDArray[Any], suffix: str, *options: int) -> bytes:
    return bytes(cv2.imencode(suffix, pixels, options)[1])


def opaque(bits: int, channels: int) -> NDArray[Any]:
    """Grey as ``channels`` channels, of which the last is opaque alpha if their number is even."""
    pixels = np.dstack([TRUE[bits]] * channels)
    if channels % 2 == 0:
        pixels[..., -1] = np.iinfo(pixels.dtype).max
    return pixels


def reason(data: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(ImageRejected) as caught:
        decode(data, limits)
    assert caught.value.sentence
    return caught.value.reason


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("photometric", [0, 1])
def test_tiff_in_every_lossless_compression(compression: str | None, bits: int, photometric: int) -> None:
    true = TRUE[bits]
    data = pillow(true, "TIFF", compression=compression, tiffinfo={262: photometric})
    image = decode(data)
    # Pillow inverts what it writes as eight bits of min-is-white, and writes sixteen as they are.
    expected = np.iinfo(true.dtype).max - true if (bits, photometric) == (16, 0) else true
    np.testing.assert_array_equal(image.pixels, expected)
    assert (image.format, image.width, image.height) == ("TIFF", 90, 80)
    assert (image.bit_depth, image.pixels.dtype) == (bits, true.dtype)


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    "layout", [{}, {"rowsperstrip": 7}, {"tile": (32, 32)}, {"compression": "zlib", "predictor": 2}]
)
def test_tiff_in_every_byte_order_and_layout(byte_order: Any, bits: int, big: bool, layout: dict[str, Any]) -> None:
    data = tiff(TRUE[bits], byteorder=byte_order, bigtiff=big, **layout)
    np.testing.assert_array_equal(decode(data).pixels, TRUE[bits])


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_tiff_in_colour(byte_order: Any, bits: int, channels: int, planes: Any) -> None:
    pixels = opaque(bits, channels)
    pixels = np.moveaxis(pixels, -1, 0) if planes == "separate" else pixels
    extra = ("unassalpha",) if channels == 4 else ()
    data = tiff(pixels, photometric="rgb", planarconfig=planes, byteorder=byte_order, extrasamples=extra)
    np.testing.assert_array_equal(decode(data).pixels, TRUE[bits])


def test_tiff_of_jpegs() -> None:
    smooth = cv2.GaussianBlur(GREY, (0, 0), 4)
    for pixels in (smooth, np.dstack([smooth] * 3)):
        data = pillow(pixels, "TIFF", compression="jpeg")
        np.testing.assert_allclose(decode(data).pixels.astype(int), smooth, atol=8)


def test_thumbnails_after_the_image_are_ignored() -> None:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(GREY)
        writer.write(GREY[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(decode(stream.getvalue()).pixels, GREY)


def test_odd_tags_are_ignored() -> None:
    odd = [
        (65_000, "s", 0, "Surname, Given name", True),
        (33_432, "s", 0, "a" * 5000, True),
        (65_001, "d", 3, (1, 2, 3), True),
    ]
    np.testing.assert_array_equal(decode(tiff(GREY, extratags=odd, description="Jane Doe")).pixels, GREY)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(("suffix", "options"), [(".png", ()), (".tif", (cv2.IMWRITE_TIFF_COMPRESSION, 5))])
def test_colour_keeps_its_depth(bits: int, channels: int, suffix: str, options: tuple[int, ...]) -> None:
    image = decode(opencv(opaque(bits, channels), suffix, *options))
    np.testing.assert_array_equal(image.pixels, TRUE[bits])
    assert image.bit_depth == bits


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_lossless_grey(kind: str) -> None:
    np.testing.assert_array_equal(decode(pillow(GREY, kind)).pixels, GREY)
    assert decode(pillow(GREY, kind)).format == kind


def test_png_of_sixteen_bits() -> None:
    np.testing.assert_array_equal(decode(pillow(DEEP, "PNG")).pixels, DEEP)


def test_opaque_grey_with_alpha() -> None:
    np.testing.assert_array_equal(decode(pillow(opaque(8, 2), "PNG")).pixels, GREY)


def test_a_palette_of_greys_is_grey() -> None:
    picture = Image.frombytes("P", (90, 80), (GREY // 16).tobytes())
    picture.putpalette([17 * (15 - n // 3) for n in range(48)])
    np.testing.assert_array_equal(decode(pillow(picture, "PNG")).pixels, 17 * (15 - GREY // 16))


def test_metadata_is_dropped() -> None:
    exif = Image.Exif()
    exif[0x013B] = "Jane Doe"
    image = decode(pillow(GREY, "JPEG", exif=exif))
    assert set(image.__slots__) == {"pixels", "format", "width", "height", "bit_depth"}


def test_colour_becomes_luma() -> None:
    giemsa = np.dstack([GREY, GREY // 2, 255 - GREY // 4])
    luma = giemsa @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(decode(pillow(giemsa, "PNG")).pixels, luma, atol=0.51)


def test_blue_dapi_keeps_its_contrast() -> None:
    dapi = np.dstack([np.zeros_like(GREY), np.zeros_like(GREY), GREY])
    np.testing.assert_array_equal(decode(pillow(dapi, "PNG")).pixels, GREY)


def test_bounds_hold_before_decoding() -> None:
    data = pillow(GREY, "PNG")
    assert reason(b"") == "empty_file"
    assert reason(data, Limits(max_bytes=len(data) - 1)) == "too_many_bytes"
    assert reason(data[:60], Limits(max_pixels=80 * 90 - 1)) == "too_many_pixels"
    assert reason(data, Limits(min_side=81)) == "too_small"
    assert decode(data, Limits(max_bytes=len(data), max_pixels=80 * 90, min_side=80)).width == 90


def test_damaged_16_bit_colour_is_rejected_without_output(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(opencv(opaque(16, 3), ".tif", cv2.IMWRITE_TIFF_COMPRESSION, 5))
    data[2000:2100] = b"\xff" * 100
    assert reason(bytes(data)) == "damaged"
    assert capfd.readouterr() == ("", "")


def decode_or_reason(data: bytes) -> str:
    try:
        decode(data)
    except ImageRejected as verdict:
        return verdict.reason
    return "decoded"


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "JPEG", "BMP"])
def test_damaged_files_give_a_reason(kind: str) -> None:
    true = pillow(cv2.GaussianBlur(GREY, (0, 0), 2), kind)
    for seed in range(150):
        random = np.random.default_rng(seed)
        data = np.frombuffer(true, np.uint8).copy()
        places = random.integers(0, min(len(data), 400), 8)
        data[places] = random.integers(0, 256, 8)
        assert decode_or_reason(data.tobytes()[: random.integers(1, len(data) + 1)]) in {"decoded", *REASONS}
