"""Pictures of chromosomes: straight, smooth outlines, visible bands, hardly any clipping."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.chromosome.measure import measure
from karyotyping.chromosome.picture import draw_cell, draw_straightened
from karyotyping.image.decode import decode
from karyotyping.pipeline import Pipeline
from training.simulation import simulate

Picture = NDArray[np.uint8]

_PALEST = 228  # grey level of the palest stain


def bar(angle: float, gain: float = 1.0, offset: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return an image (120, 120) of a bar with bands and a dark spot on the right; its mask."""
    y, x = np.mgrid[:120, :120] - 59.5
    along, across = x * np.sin(angle) + y * np.cos(angle), x * np.cos(angle) - y * np.sin(angle)
    mask = (np.abs(along) < 40) & (np.abs(across) < 8)
    bands = 1 + 0.5 * np.cos(along / 4) + 1.5 * np.exp(-((along - 10) ** 2 + (across - 4) ** 2) / 8)
    return (offset + gain * np.where(mask, bands, 0)).astype(np.float32), mask


def clipped(picture: Picture) -> float:
    """Return the share of black pixels and of pixels at the palest grey level."""
    return float(((picture == 0) | (picture == _PALEST)).sum() / max(1, (picture < 255).sum()))


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.default("cpu")


@pytest.mark.parametrize("contrast", ["bright_field", "fluorescence"])
def test_hardly_any_pixels_of_simulated_cells_are_clipped(
    pipeline: Pipeline, contrast: Literal["bright_field", "fluorescence"]
) -> None:
    cell = pipeline.analyse(simulate("46,XY", seed=5, contrast=contrast, touching=3, overlapping=3).pixels)
    assert len(cell.chromosomes) > 40
    assert max(clipped(item.straightened) for item in cell.chromosomes) <= 0.01


@pytest.mark.parametrize("name", ["A0601XY", "A0611XY"])
def test_hardly_any_pixels_of_fluorescence_images_are_clipped(pipeline: Pipeline, test_data: Path, name: str) -> None:
    file = test_data / "adir" / "images" / f"{name}.png"
    if not file.is_file():
        pytest.skip(f"no image {file}")
    cell = pipeline.analyse(decode(file.read_bytes()).pixels)
    assert max(clipped(item.straightened) for item in cell.chromosomes) <= 0.01


@pytest.mark.parametrize("angle", [0.0, 0.35, 0.7, 1.2])
def test_the_outline_of_a_rotated_chromosome_does_not_jitter(angle: float) -> None:
    stain, mask = bar(angle)
    (picture,) = draw_cell([stain], [measure(stain, mask)])
    ink = (255.0 - picture) / 255.0
    middle = ink[len(ink) // 8 : -len(ink) // 8] > 0.05
    left, right = middle.argmax(axis=1), middle.shape[1] - middle[:, ::-1].argmax(axis=1)
    scale = len(picture) / 80
    assert np.abs(np.diff(np.stack([left, right]), axis=1)).max() <= 1
    assert max(np.ptp(left), np.ptp(right)) < scale
    assert (right - left).mean() / scale == pytest.approx(16, abs=1)


def test_the_outline_fades_into_the_page() -> None:
    stain, mask = bar(0.35)
    (picture,) = draw_cell([stain + 5], [measure(stain, mask)])
    edge = picture[len(picture) // 2]
    assert ((edge > _PALEST) & (edge < 255)).any()


def test_left_and_right_are_those_of_the_image() -> None:
    stain, mask = bar(0.0)
    measured = measure(stain, mask)
    for (picture,) in (draw_cell([stain], [measured]), draw_straightened([measured])):
        row, column = np.unravel_index(picture.argmin(), picture.shape)
        assert row / picture.shape[0] == pytest.approx(50 / 80, abs=0.04)
        assert column > picture.shape[1] / 2


def test_bands_are_visible_in_pale_and_in_bright_chromosomes() -> None:
    bars = [bar(0.35, gain, offset=30) for gain in (10, 50, 50, 50, 300)]
    pale, *typical, bright = draw_cell(*zip(*[(stain, measure(stain - 30, mask)) for stain, mask in bars], strict=True))
    darkest = [int(picture.min()) for picture in (pale, *typical, bright)]
    assert 60 < darkest[0] < 110
    assert max(darkest[1:]) < 10
    assert [clipped(picture) < 0.01 for picture in (pale, *typical, bright)] == [True] * 5


def test_pictures_do_not_depend_on_the_unit_and_the_offset_of_the_image() -> None:
    stain, mask = bar(0.35)
    measured = measure(stain, mask)
    (one,), (other,) = draw_cell([stain], [measured]), draw_cell([200 * stain - 4000], [measured])
    assert np.abs(one.astype(int) - other).max() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 9)])
def test_specks_have_pictures(shape: tuple[int, int]) -> None:
    mask = np.pad(np.ones(shape, np.bool_), 3)
    (picture,) = draw_cell([mask.astype(np.float32)], [measure(mask.astype(np.float32), mask)])
    assert (picture < 255).any()
    assert draw_cell([], []) == []
