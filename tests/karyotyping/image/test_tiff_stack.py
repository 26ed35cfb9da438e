"""Channels and planes of OME-TIFF, ImageJ and LSM files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from karyotyping.image.decode import ImageRejected, decode
from tests.support.image_files import tiff, tiff_pages

RANDOM = np.random.default_rng(9)
STACK = RANDOM.integers(0, 65_536, (2, 3, 2, 80, 96), dtype=np.uint16)  # time, focus, channel
NAMES = ["DAPI", "Texas Red"]


def rejection(data: bytes, **options: Any) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decode(data, **options)
    return caught.value


def ome(pixels: np.ndarray, axes: str, **options: Any) -> bytes:
    names = {"Name": NAMES} if "C" in axes else {"Name": ["DAPI"]}
    return tiff(pixels, ome=True, photometric="minisblack", metadata={"axes": axes, "Channel": names}, **options)


def test_one_channel_and_plane_needs_no_choice() -> None:
    data = ome(STACK[0, 0, 0], "YX")
    np.testing.assert_array_equal(decode(data).pixels, STACK[0, 0, 0])
    np.testing.assert_array_equal(decode(data, channel="dapi", plane=0).pixels, STACK[0, 0, 0])
    assert rejection(data, channel="TRITC").reason == "no_such_channel"


def test_channels_of_ome_are_listed_and_chosen_by_name() -> None:
    data = ome(STACK[0, 0], "CYX")
    problem = rejection(data)
    assert problem.reason == "ambiguous_channel"
    assert "DAPI, Texas Red" in problem.sentence
    assert "--channel" in problem.sentence
    for number, name in enumerate(NAMES):
        for channel in (name, name.lower(), number, str(number)):
            np.testing.assert_array_equal(decode(data, channel=channel).pixels, STACK[0, 0, number])
    assert rejection(data, channel="FITC").reason == "no_such_channel"
    assert rejection(data, channel=2).reason == "no_such_channel"


@pytest.mark.parametrize("axes", ["TZCYX", "ZTCYX", "CTZYX", "CZTYX", "TCZYX"])
def test_planes_of_ome_are_numbered_with_focus_fastest(axes: str) -> None:
    order = ["TZC".index(axis) for axis in axes[:3]]
    data = ome(np.ascontiguousarray(STACK.transpose(*order, 3, 4)), axes)
    problem = rejection(data, channel="DAPI")
    assert (problem.reason, "6 planes" in problem.sentence) == ("ambiguous_channel", True)
    for time, focus, channel in np.ndindex(2, 3, 2):
        pixels = decode(data, channel=NAMES[channel], plane=3 * time + focus).pixels
        np.testing.assert_array_equal(pixels, STACK[time, focus, channel])
    assert rejection(data, channel=0, plane=6).reason == "no_such_plane"
    assert rejection(data, channel=0, plane=-1).reason == "no_such_plane"


def test_channels_that_are_samples_of_one_page_are_chosen() -> None:
    data = ome(STACK[0, 0], "CYX", planarconfig="separate")
    assert rejection(data).reason == "ambiguous_channel"
    np.testing.assert_array_equal(decode(data, channel=1).pixels, STACK[0, 0, 1])


def test_colour_in_ome_is_one_channel() -> None:
    grey = (STACK[0, 0, 0] >> 8).astype(np.uint8)
    data = tiff(np.dstack([grey] * 3), ome=True, photometric="rgb", metadata={"axes": "YXS"})
    np.testing.assert_array_equal(decode(data).pixels, grey)


def test_pyramid_of_ome_is_read_at_full_resolution() -> None:
    full = STACK[0, 0, 0]
    data = tiff_pages((full, {"subifds": 1}), (full[::2, ::2].copy(), {"subfiletype": 1}))
    np.testing.assert_array_equal(decode(data).pixels, full)


def test_channels_of_imagej_are_chosen_by_number() -> None:
    data = tiff(STACK, imagej=True, metadata={"axes": "TZCYX"})
    assert rejection(data).sentence.startswith("The file holds the channels channel 0, channel 1 and 6 planes;")
    np.testing.assert_array_equal(decode(data, channel=1, plane=4).pixels, STACK[1, 1, 1])
    np.testing.assert_array_equal(decode(tiff(STACK[0, 0, 0], imagej=True)).pixels, STACK[0, 0, 0])


XML = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1"><Image ID="Image:0">'
    '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" SizeX="96" SizeY="80" SizeC="{c}" SizeZ="1" SizeT="{t}" '
    'Type="uint8">{blocks}</Pixels></Image></OME>'
)
GREYS = RANDOM.integers(0, 256, (2, 80, 96), dtype=np.uint8)


def described(blocks: str, c: int = 2, t: int = 1) -> bytes:
    first = {"description": XML.format(c=c, t=t, blocks=blocks), "metadata": None}
    return tiff_pages((GREYS[0], first), (GREYS[1], {"metadata": None}))


def test_pages_follow_the_description() -> None:
    swapped = described('<TiffData IFD="1" FirstC="0"/><TiffData IFD="0" FirstC="1"/>')
    np.testing.assert_array_equal(decode(swapped, channel=0).pixels, GREYS[1])
    np.testing.assert_array_equal(decode(described("<TiffData/>"), channel=1).pixels, GREYS[1])
    np.testing.assert_array_equal(decode(described(""), channel=1).pixels, GREYS[1])


def test_plane_in_another_file_is_named() -> None:
    other = '<TiffData IFD="0" FirstC="0"><UUID FileName="other.tif">urn:uuid:2</UUID></TiffData>'
    problem = rejection(described(other + '<TiffData IFD="0" FirstC="1"/>'), channel=0)
    assert (problem.reason, "several files" in problem.sentence) == ("unsupported_format", True)


def test_hostile_descriptions_cost_nothing() -> None:
    assert rejection(described("", c=10**9, t=10**9)).reason == "ambiguous_channel"
    assert rejection(described("", c=10**9, t=10**9), channel=5, plane=10**8).reason == "truncated"
    entity = '<!DOCTYPE OME [<!ENTITY a "aaaa">]>' + XML.format(c=1, t=1, blocks="")
    assert rejection(tiff(GREYS[0], description=entity, metadata=None)).reason == "damaged"
    names = "".join(f'<Channel Name="{"x" * 999}&#x202e;"/>' for _ in range(99))
    assert len(rejection(described(names, c=99)).sentence) < 1000


def test_samples_of_lsm_are_channels() -> None:
    options = {"photometric": "minisblack", "planarconfig": "separate", "extratags": [(34412, "B", 200, bytes(200))]}
    thumbnail = (np.ascontiguousarray(GREYS[0, ::2, ::2]), {"subfiletype": 1})
    data = tiff_pages((np.stack([*GREYS, GREYS[0]]), options), thumbnail)
    assert rejection(data).reason == "ambiguous_channel"
    np.testing.assert_array_equal(decode(data, channel=1).pixels, GREYS[1])
