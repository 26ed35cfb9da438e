"""Segmentation of the chromosome in a crop, for either polarity and any frame."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.chromosome.crop import measure_crops, segment_crop, trim_halo


def body(level: int, shape: tuple[int, int] = (60, 30)) -> NDArray[np.int64]:
    """Return the stain of a bar of 40 x 12 pixels on an empty background."""
    stain = np.zeros(shape, np.int64)
    stain[10:50, 9:21] = level
    return stain


@pytest.mark.parametrize("background", [255, 0])
def test_dark_and_bright_stain_are_segmented_on_a_clean_background(background: int) -> None:
    pixels = np.abs(background - body(120)).astype(np.uint8)
    crop = segment_crop(pixels)
    assert crop.mask.sum() == 40 * 12
    assert crop.stain[crop.mask].mean() == pytest.approx(120 / 255, abs=1e-3)
    assert crop.stain[~crop.mask].max() == 0


def test_a_noisy_background_is_excluded() -> None:
    rng = np.random.default_rng(0)
    pixels = np.clip(210 - body(130) + rng.normal(0, 4, (60, 30)), 0, 255).astype(np.uint8)
    crop = segment_crop(pixels)
    assert abs(int(crop.mask.sum()) - 480) < 25


def test_a_chromosome_that_covers_most_of_the_frame_is_segmented() -> None:
    pixels = (255 - body(140)[10:50, 8:22]).astype(np.uint8)  # one column of background on both sides
    assert segment_crop(pixels).mask.sum() == 480


def test_sixteen_bits_give_the_same_crop_as_eight() -> None:
    eight = segment_crop(body(100).astype(np.uint8))
    sixteen = segment_crop((257 * body(100)).astype(np.uint16))
    np.testing.assert_array_equal(eight.mask, sixteen.mask)
    np.testing.assert_allclose(eight.stain, sixteen.stain, atol=1e-4)


def test_a_halo_is_excluded() -> None:
    stain = body(120)
    stain[7:10, 9:21] = stain[50:53, 9:21] = 12
    assert segment_crop(stain.astype(np.uint8)).mask.sum() == 480


def test_trim_halo_removes_the_halo_and_keeps_the_rim_like_segment_crop() -> None:
    stain = body(120)
    stain[8:10, 9:21], stain[50:52, 9:21] = 12, 36
    crop = segment_crop(stain.astype(np.uint8))
    body_alone = trim_halo(stain.astype(np.float32), stain > 0)
    assert body_alone.sum() == crop.mask.sum() == 42 * 12
    faint = np.where(stain > 0, 1, 0).astype(np.float32)
    faint[10:17, 9:21] = 100  # a sixth of the mask: less than half would remain
    np.testing.assert_array_equal(trim_halo(faint, stain > 0), stain > 0)


def test_a_pale_centromere_keeps_the_arms_joined_and_a_neighbour_is_excluded() -> None:
    pale = body(150)
    pale[24:27, 9:21] = 14
    assert segment_crop(pale.astype(np.uint8)).mask.sum() == 480
    with_neighbour = body(150)
    with_neighbour[10:30, 25:29] = 150
    assert segment_crop(with_neighbour.astype(np.uint8)).mask.sum() == 480


@pytest.mark.parametrize("level", [0, 130, 255])
def test_an_empty_crop_raises_a_sentence(level: int) -> None:
    with pytest.raises(ValueError, match="differs from its background"):
        segment_crop(np.full((40, 20), level, np.uint8))


def test_the_typical_stain_of_a_cell_becomes_one() -> None:
    crops = [segment_crop((255 - body(level)).astype(np.uint8)) for level in (60, 100, 140)]
    pale, typical, dark = (float(item.density.mean()) for item in measure_crops(crops))
    assert typical == pytest.approx(1.0, abs=0.05)
    assert pale == pytest.approx(0.6, abs=0.05)
    assert dark == pytest.approx(1.4, abs=0.05)
