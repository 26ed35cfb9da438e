"""CZI files of Zeiss."""

from __future__ import annotations

import sys
from typing import Any

import imagecodecs
import numpy as np
import pytest

from karyotyping.image.decode import REASONS, ImageRejected, Limits, decode
from tests.support.image_files import czi

RANDOM = np.random.default_rng(10)
GREY = RANDOM.integers(0, 256, (80, 96), dtype=np.uint8)
DEEP = RANDOM.integers(0, 4096, (80, 96), dtype=np.uint16)


def rejection(data: bytes, **options: Any) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decode(data, **options)
    return caught.value


def test_one_channel_is_read() -> None:
    image = decode(czi([({"C": 0}, GREY.tobytes())], GREY.shape))
    np.testing.assert_array_equal(image.pixels, GREY)
    assert (image.format, image.bit_depth) == ("CZI", 8)


def test_channels_are_listed_and_chosen_by_name() -> None:
    data = czi([({"C": 0}, DEEP.tobytes()), ({"C": 1}, DEEP[::-1].tobytes())], DEEP.shape, pixel_type=1)
    problem = rejection(data)
    assert (problem.reason, "DAPI, TRITC" in problem.sentence) == ("ambiguous_channel", True)
    np.testing.assert_array_equal(decode(data, channel="tritc").pixels, DEEP[::-1])
    np.testing.assert_array_equal(decode(data, channel=0).pixels, DEEP)


def test_planes_are_numbered_with_focus_fastest() -> None:
    planes = {(t, z): RANDOM.integers(0, 256, GREY.shape, dtype=np.uint8) for t in (0, 1) for z in (0, 1, 2)}
    data = czi([({"C": 0, "Z": z, "T": t}, pixels.tobytes()) for (t, z), pixels in planes.items()], GREY.shape)
    assert rejection(data).reason == "ambiguous_channel"
    for number, pixels in enumerate(planes.values()):
        np.testing.assert_array_equal(decode(data, plane=number).pixels, pixels)
    assert rejection(data, plane=6).reason == "no_such_plane"


def test_tiles_of_a_mosaic_are_put_together() -> None:
    starts = [(1000, -50, 0), (1064, -50, 1), (1000, 30, 2), (1064, 30, 3)]
    whole = RANDOM.integers(0, 256, (160, 160), dtype=np.uint8)
    tiles = [({"X": x, "Y": y, "M": m}, whole[y + 50 : y + 130, x - 1000 : x - 904].tobytes()) for x, y, m in starts]
    np.testing.assert_array_equal(decode(czi(tiles, (80, 96))).pixels, whole)


def test_reduced_copies_are_ignored() -> None:
    tile = [({"C": 0}, GREY.tobytes())]
    assert rejection(czi(tile, GREY.shape, stored=48)).reason == "damaged"


def hi_lo(pixels: np.ndarray) -> bytes:
    low_and_high = pixels.view(np.uint8).reshape(-1, 2).T.tobytes()
    return b"\x03\x01\x01" + bytes(imagecodecs.zstd_encode(low_and_high))


@pytest.mark.parametrize(
    ("compression", "encode"),
    [
        (5, lambda pixels: imagecodecs.zstd_encode(pixels.tobytes())),
        (6, lambda pixels: b"\x01" + bytes(imagecodecs.zstd_encode(pixels.tobytes()))),
        (6, hi_lo),
    ],
)
def test_compressed_tiles_are_read(compression: int, encode: Any) -> None:
    data = czi([({"C": 0}, bytes(encode(DEEP)))], DEEP.shape, pixel_type=1, compression=compression)
    np.testing.assert_array_equal(decode(data).pixels, DEEP)


def test_colour_and_floating_point_are_read() -> None:
    blue = np.dstack([GREY, np.zeros_like(GREY), np.zeros_like(GREY)])  # BGR
    np.testing.assert_array_equal(decode(czi([({}, blue.tobytes())], GREY.shape, pixel_type=3)).pixels, GREY)
    levels = DEEP.astype(np.float32)
    np.testing.assert_array_equal(decode(czi([({}, levels.tobytes())], DEEP.shape, pixel_type=2)).pixels, DEEP)
    assert rejection(czi([({}, bytes(80 * 96 * 8))], DEEP.shape, pixel_type=10)).reason == "unsupported_pixel_type"


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = czi([({}, bytes(imagecodecs.zstd_encode(GREY.tobytes())))], GREY.shape, compression=5)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    problem = rejection(data)
    assert (problem.reason, "karyoflow[formats]" in problem.sentence) == ("missing_extra", True)


def test_claims_are_bounded_before_decoding() -> None:
    tile = ({"C": 0}, GREY.tobytes())
    assert rejection(czi([tile], GREY.shape), limits=Limits(max_pixels=80 * 96 - 1)).reason == "too_many_pixels"
    assert rejection(czi([tile], (60_000, 60_000))).reason == "too_many_pixels"
    apart = [tile, ({"X": 10**6, "Y": 10**6}, GREY.tobytes())]
    assert rejection(czi(apart, GREY.shape)).reason == "too_many_pixels"
    assert rejection(czi([tile] * 3, GREY.shape), limits=Limits(max_pixels=80 * 96)).reason == "too_many_pixels"
    assert rejection(czi([({}, GREY.tobytes()[:-1])], GREY.shape)).reason == "truncated"
    bomb = bytes(imagecodecs.zstd_encode(bytes(100_000_000)))
    assert rejection(czi([({}, bomb)], GREY.shape, compression=5)).reason in ("damaged", "truncated")
    large = bytes(imagecodecs.jpeg_encode(np.zeros((3000, 3000), np.uint8)))
    assert rejection(czi([({}, large)], GREY.shape, compression=1)).reason == "damaged"


def test_tiles_of_jpegs_are_read() -> None:
    smooth = np.add.outer(np.arange(80), np.arange(96)).astype(np.uint8)
    for pixel_type, pixels in ((0, smooth), (3, np.dstack([smooth] * 3))):
        encoded = bytes(imagecodecs.jpeg_encode(pixels, 100))
        image = decode(czi([({}, encoded)], smooth.shape, pixel_type=pixel_type, compression=1))
        np.testing.assert_allclose(image.pixels.astype(int), smooth, atol=2)


def test_tiles_of_jpeg_xr_are_rejected_by_name() -> None:
    problem = rejection(czi([({}, b"II\xbc\x01")], GREY.shape, compression=4))
    assert (problem.reason, "JPEG XR" in problem.sentence) == ("unsupported_compression", True)


def decode_or_reason(data: bytes) -> str:
    try:
        decode(data, channel=0)
    except ImageRejected as problem:
        return problem.reason
    return "decoded"


def test_damaged_files_give_a_reason() -> None:
    true = np.frombuffer(czi([({"C": c}, GREY.tobytes()) for c in (0, 1)], GREY.shape), np.uint8)
    structure = np.flatnonzero(np.r_[np.ones(2000, bool), np.zeros(len(true) - 3000, bool), np.ones(1000, bool)])
    for seed in range(300):
        random = np.random.default_rng(seed)
        data = true.copy()
        data[random.choice(structure, 6)] = random.integers(0, 256, 6)
        cut = random.integers(1, len(data) + 1) if seed % 3 == 0 else None
        assert decode_or_reason(data.tobytes()[:cut]) in {"decoded", *REASONS}
