"""LIF files of Leica."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from karyotyping.image.decode import REASONS, ImageRejected, Limits, decode
from tests.support.image_files import lif

RANDOM = np.random.default_rng(11)
STACK = RANDOM.integers(0, 4096, (3, 2, 80, 96), dtype=np.uint16)  # focus, channel


def rejection(data: bytes, **options: Any) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decode(data, **options)
    return caught.value


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_one_channel_is_read(dtype: Any) -> None:
    pixels = STACK[:1, :1].astype(dtype)
    image = decode(lif(pixels, ["Blue"]))
    np.testing.assert_array_equal(image.pixels, pixels[0, 0])
    assert image.format == "LIF"


def test_channels_and_planes_are_listed_and_chosen() -> None:
    data = lif(STACK, ["Blue", "Red"])
    assert rejection(data).sentence.startswith("The file holds the channels Blue, Red and 3 planes;")
    np.testing.assert_array_equal(decode(data, channel="red", plane=2).pixels, STACK[2, 1])
    np.testing.assert_array_equal(decode(data, channel=0, plane=0).pixels, STACK[0, 0])


def test_images_of_a_file_are_planes() -> None:
    data = lif(STACK[:1, :1], ["Blue"], images=4)
    assert rejection(data).reason == "ambiguous_channel"
    np.testing.assert_array_equal(decode(data, plane=3).pixels, STACK[0, 0])
    assert rejection(data, plane=4).reason == "no_such_plane"


def test_floating_point_is_read() -> None:
    np.testing.assert_array_equal(decode(lif(STACK[:1, :1].astype(np.float32), ["Blue"])).pixels, STACK[0, 0])


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "liffile", None)
    problem = rejection(lif(STACK, ["Blue", "Red"]))
    assert (problem.reason, "karyoflow[formats]" in problem.sentence) == ("missing_extra", True)


def test_claims_are_bounded_before_decoding() -> None:
    data = lif(STACK[:1, :1], ["Blue"])
    assert rejection(data, limits=Limits(max_pixels=80 * 96 - 1)).reason == "too_many_pixels"
    assert rejection(data[:-10]).reason in ("damaged", "truncated")
    doctype = data.replace("<LMSDataC".encode("utf-16-le"), "<!DOCTYPE".encode("utf-16-le"))
    assert rejection(doctype).reason == "damaged"


def decode_or_reason(data: bytes) -> str:
    try:
        decode(data, channel=0)
    except ImageRejected as problem:
        return problem.reason
    return "decoded"


def test_damaged_files_give_a_reason() -> None:
    true = np.frombuffer(lif(STACK[:1], ["Blue", "Red"]), np.uint8)
    for seed in range(200):
        random = np.random.default_rng(seed)
        data = true.copy()
        data[random.integers(0, 3500, 4)] = random.integers(0, 256, 4)
        cut = random.integers(1, len(data) + 1) if seed % 3 == 0 else None
        assert decode_or_reason(data.tobytes()[:cut]) in {"decoded", *REASONS}
