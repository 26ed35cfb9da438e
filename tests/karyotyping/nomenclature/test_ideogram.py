"""The ideogram against textbook landmarks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from karyotyping.nomenclature import ideogram
from karyotyping.nomenclature.classes import X, Y

CLASSES = range(1, 25)


@pytest.mark.parametrize("resolution", ideogram.RESOLUTIONS)
@pytest.mark.parametrize("class_id", CLASSES)
def test_bands_cover_the_chromosome_without_gaps(class_id: int, resolution: int) -> None:
    bands = ideogram.bands(class_id, resolution)
    assert bands[0].start == 0
    assert bands[-1].stop == 1
    assert all(a.stop == b.start and a.start < a.stop for a, b in pairwise(bands))
    assert [band.arm for band in bands] == sorted(band.arm for band in bands)
    assert all(band.name.startswith(band.arm) for band in bands)


@pytest.mark.parametrize("class_id", CLASSES)
def test_higher_levels_divide_bands(class_id: int) -> None:
    counts = [len(ideogram.bands(class_id, resolution)) for resolution in ideogram.RESOLUTIONS]
    assert counts == sorted(counts)


def test_the_centromere_separates_the_arms() -> None:
    for class_id in CLASSES:
        centric = [band for band in ideogram.bands(class_id) if band.stain == "acen"]
        index = ideogram.centromere_index(class_id)
        assert centric[0].start < index < centric[-1].stop
        assert index <= 0.5


def test_lengths_fall_with_the_class_number_with_known_exceptions() -> None:
    lengths = {class_id: ideogram.relative_length(class_id) for class_id in CLASSES}
    assert sum(lengths[n] for n in range(1, 23)) == pytest.approx(1)
    assert lengths[1] == max(lengths.values())
    assert lengths[21] == min(lengths.values())
    assert lengths[7] > lengths[X] > lengths[8]
    assert lengths[20] > lengths[Y] > lengths[22]


def test_form_groups() -> None:
    metacentric, acrocentric = (1, 3, 16, 19, 20), (13, 14, 15)
    assert min(ideogram.centromere_index(n) for n in metacentric) > 0.42
    assert max(ideogram.centromere_index(n) for n in acrocentric) < 0.25


@pytest.mark.parametrize("banding", ["G", "Q", "DAPI"])
def test_the_profile_keeps_the_mean_density_at_every_length(banding: ideogram.Banding) -> None:
    for class_id in CLASSES:
        coarse, fine = (ideogram.density_profile(class_id, n, 550, banding) for n in (16, 640))
        assert coarse.shape == (16,)
        assert coarse.dtype == np.float32
        assert 0 <= fine.min() <= fine.max() <= 1
        np.testing.assert_allclose(fine.reshape(16, 40).mean(axis=1), coarse, atol=1e-5)


def test_known_landmarks() -> None:
    y = ideogram.density_profile(Y, 100, banding="Q")
    assert y[70:].mean() > 0.95  # Yq12, the brightest thing in a male Q-banded cell
    nine = ideogram.density_profile(9, 100)
    nine_dapi = ideogram.density_profile(9, 100, banding="DAPI")
    assert nine[38] < 0.4  # 9qh is pale in G-banding
    assert nine_dapi[38] > 0.9  # and shines in DAPI
    assert ideogram.density_profile(13, 100).mean() > ideogram.density_profile(19, 100).mean()


@pytest.mark.parametrize(("class_id", "resolution"), [(0, 550), (25, 550), (1, 300)])
def test_unknown_classes_and_levels_are_rejected(class_id: int, resolution: int) -> None:
    with pytest.raises(ValueError, match="no ideogram of class"):
        ideogram.bands(class_id, resolution)
