"""Simulated metaphases: the truth agrees with the pixels."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from karyotyping.nomenclature.ideogram import relative_length
from karyotyping.nomenclature.iscn import format_iscn
from training.simulation import Optics, SimulatedMetaphase, simulate
from training.simulation.appearance import Contrast

CLEAR = Optics(noise=(0, 0), shot_noise=(0, 0), slope=(0, 0), vignetting=(0, 0), haze=(0, 0), sharpening=(0, 0))


@pytest.fixture(scope="module")
def crowded() -> SimulatedMetaphase:
    return simulate("46,XY", seed=5, touching=8, overlapping=8, nuclei=2, debris=10, neighbours=4)


@pytest.mark.parametrize("contrast", ["bright_field", "fluorescence"])
@pytest.mark.parametrize(("karyotype", "count"), [("45,X", 45), ("47,XY,+21", 47), ("46,XX", 46)])
def test_metaphase_has_the_chromosomes_of_its_karyotype(karyotype: str, count: int, contrast: Contrast) -> None:
    cell = simulate(karyotype, seed=3, contrast=contrast)
    assert cell.iscn == karyotype == format_iscn(Counter(cell.classes))
    assert len(cell.masks) == len(cell.boxes) == len(cell.classes) == len(cell.axes) == count
    assert cell.pixels.shape == (700, 900)
    assert cell.pixels.dtype == np.uint8
    background = np.median(cell.pixels)
    assert background > 210 if contrast == "bright_field" else background < 40


def test_karyotype_can_be_copies_by_class() -> None:
    cell = simulate({1: 1, 21: 3}, seed=1, shape=(300, 300), nuclei=0)
    assert cell.classes == (1, 21, 21, 21)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, again, other = (simulate("46,XX", seed=seed, overlapping=2).pixels.tobytes() for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_chromosomes_are_apart_by_default() -> None:
    cell = simulate("46,XX", seed=2)
    assert cell.masks.sum(axis=0).max() == 1
    assert set(cell.contacts) == {"apart"}


def test_number_of_contacts_is_the_given_one(crowded: SimulatedMetaphase) -> None:
    assert Counter(crowded.contacts) == {"apart": 30, "touching": 8, "overlapping": 8}
    shared = sum(bool((a & b).any()) for a, b in combinations(crowded.masks, 2))
    assert shared == 8


@pytest.mark.parametrize("contrast", ["bright_field", "fluorescence"])
def test_masks_agree_with_the_pixels(contrast: Contrast) -> None:
    cell = simulate("46,XY", seed=4, contrast=contrast, nuclei=0, debris=0)
    covered = cell.masks.any(axis=0)
    deviation = cell.pixels.astype(float) - np.median(cell.pixels)
    stained = -deviation if contrast == "bright_field" else deviation
    detected = stained > 0.25 * np.median(stained[covered])
    assert (detected & covered).sum() / (detected | covered).sum() > 0.75
    assert stained[covered].mean() > 10 * abs(stained[~covered].mean())


def test_boxes_are_tight(crowded: SimulatedMetaphase) -> None:
    for mask, (x, y, w, h) in zip(crowded.masks, crowded.boxes, strict=True):
        inside = mask[y : y + h, x : x + w]
        assert inside.sum() == mask.sum()
        assert inside[0].any()
        assert inside[-1].any()
        assert inside[:, 0].any()
        assert inside[:, -1].any()


def test_lengths_follow_the_classes() -> None:
    lengths: dict[int, list[float]] = {}
    for seed in range(3):
        cell = simulate("46,XX", seed=seed, nuclei=0, debris=0)
        for class_id, axis in zip(cell.classes, cell.axes, strict=True):
            length = float(np.linalg.norm(np.diff(axis, axis=0), axis=1).sum())
            lengths.setdefault(class_id, []).append(length)
    measured = np.array([np.mean(lengths[n]) for n in range(1, 23)])
    expected = np.array([relative_length(n) for n in range(1, 23)])
    np.testing.assert_allclose(measured / measured.sum(), expected, rtol=0.12)


def test_axes_and_centromeres_are_inside_of_their_masks(crowded: SimulatedMetaphase) -> None:
    for mask, axis, centromere in zip(crowded.masks, crowded.axes, crowded.centromeres, strict=True):
        x, y = np.round(axis).astype(int).T
        assert mask[y, x].mean() > 0.9
        assert np.linalg.norm(axis - centromere, axis=1).min() < 1


def test_absorbances_add_in_overlaps(crowded: SimulatedMetaphase) -> None:
    crossed = crowded.masks.sum(axis=0) > 1
    single = crowded.masks.sum(axis=0) == 1
    assert crowded.stain[crossed].mean() == pytest.approx(2 * crowded.stain[single].mean(), rel=0.35)
    clear = simulate("46,XY", seed=5, overlapping=8, nuclei=0, debris=0, optics=CLEAR)
    light = clear.pixels[clear.masks.sum(axis=0) > 1].mean()
    assert light < 0.75 * clear.pixels[clear.masks.sum(axis=0) == 1].mean()


def test_neighbours_are_at_the_border_and_clear_of_the_cell(crowded: SimulatedMetaphase) -> None:
    assert crowded.neighbours
    covered = crowded.masks.any(axis=0)
    for x, y, w, h in crowded.neighbours:
        assert 0 <= x < x + w <= 900
        assert 0 <= y < y + h <= 700
        assert crowded.stain[y : y + h, x : x + w].max() > 0.2
    assert not covered[0].any()
    assert not covered[:, 0].any()


def test_impossible_metaphases_raise_an_error() -> None:
    with pytest.raises(ValueError, match="only 45 of 46"):
        simulate("46,XX", seed=1, touching=40, overlapping=40)
    with pytest.raises(ValueError, match="enlarge"):
        simulate("46,XX", seed=1, shape=(150, 150))
    with pytest.raises(ValueError, match="sex complement"):
        simulate("46,QQ", seed=1)


def test_no_overlap_hides_most_of_a_chromosome(crowded: SimulatedMetaphase) -> None:
    pixels = crowded.masks.reshape(len(crowded.masks), -1).astype(np.int64)
    shared = pixels @ pixels.T
    areas = np.diag(shared)
    share = shared / np.minimum.outer(areas, areas)
    np.fill_diagonal(share, 0.0)
    largest = share.max(axis=0)[np.array(crowded.contacts) == "overlapping"]
    assert 0.03 < largest.min() < largest.max() < 0.5
