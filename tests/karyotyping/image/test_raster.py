"""PNG, JPEG and BMP files with the oddities of cameras."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from karyotyping.image.decode import ImageRejected, decode
from tests.support.image_files import encode

RANDOM = np.random.default_rng(8)
GREY = RANDOM.integers(0, 256, (80, 96), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65_536, (80, 96), dtype=np.uint16)
SMOOTH = np.add.outer(np.arange(80), np.arange(96)).astype(np.uint8)


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[274] = orientation
    return tags.tobytes()


def bmp_of_32_bits(alpha: np.ndarray, *, masks: bool) -> bytes:
    """A bottom-up BMP of grey pixels with ``alpha``, which ``masks`` declare."""
    pixels = np.dstack([GREY, GREY, GREY, alpha])[::-1].tobytes()
    header_size = 108 if masks else 40
    header = struct.pack("<IiiHHIIiiII", header_size, 96, 80, 1, 32, 3 if masks else 0, len(pixels), 0, 0, 0, 0)
    if masks:
        header += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    return struct.pack("<2sIHHI", b"BM", 14 + len(header) + len(pixels), 0, 0, 14 + len(header)) + header + pixels


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("alpha", [0, 7, 255])
def test_unused_alpha_of_a_bmp_is_ignored(masks: bool, alpha: int) -> None:
    np.testing.assert_array_equal(decode(bmp_of_32_bits(np.full_like(GREY, alpha), masks=masks)).pixels, GREY)


def test_used_alpha_of_a_bmp_is_rejected() -> None:
    with pytest.raises(ImageRejected) as caught:
        decode(bmp_of_32_bits(GREY, masks=True))
    assert caught.value.reason == "transparent_image"


def test_orientation_of_exif_is_applied_to_jpeg() -> None:
    stored = np.ascontiguousarray(SMOOTH.T[::-1])
    for data in (encode(stored, "JPEG", exif=exif(6)), encode(np.dstack([stored] * 3), "JPEG", exif=exif(6))):
        image = decode(data)
        np.testing.assert_allclose(image.pixels.astype(int), SMOOTH, atol=4)
        assert (image.width, image.height) == (96, 80)


def test_orientation_of_exif_is_applied_to_png_of_every_depth() -> None:
    chunk = b"eXIf" + exif(8).removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    for true in (GREY, DEEP, np.dstack([GREY] * 3), np.dstack([DEEP] * 3)):
        stored = np.ascontiguousarray(np.swapaxes(true[::-1], 0, 1))
        data = cv2.imencode(".png", stored)[1].tobytes()
        data = data[:33] + chunk + data[33:]  # after the header
        np.testing.assert_array_equal(decode(data).pixels, true if true.ndim == 2 else true[..., 0])


def test_damaged_exif_is_ignored() -> None:
    data = encode(SMOOTH, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_allclose(decode(data).pixels.astype(int), SMOOTH, atol=4)


def test_jpeg_with_a_jfif_header_is_known_by_its_content() -> None:
    data = encode(SMOOTH, "JPEG", dpi=(72, 72))
    assert data[6:10] == b"JFIF"
    assert decode(data).format == "JPEG"


def test_alpha_of_a_png_that_is_the_same_everywhere_is_ignored() -> None:
    for true in (GREY, DEEP):
        for alpha in (0, 99):
            data = cv2.imencode(".png", np.dstack([true, true, true, np.full_like(true, alpha)]))[1].tobytes()
            np.testing.assert_array_equal(decode(data).pixels, true)
