"""Classification of crops: any orientation and polarity, processes, invalid crops."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from karyotyping.classification.embedder import EMBEDDER
from karyotyping.crops import ClassifiedCrop, CropFile, RejectedCrop, classify_cells, classify_population
from models import registry
from models.engine import Engine, load_engine
from training.simulation import simulate

VARIANTS = ("original", "rotated by 180", "rotated by 90", "inverted", "16 bit")


@pytest.fixture(scope="module")
def embedder() -> Engine:
    return load_engine(registry.resolve(EMBEDDER).path, "cpu")


@pytest.fixture(scope="module")
def crops() -> list[NDArray[np.uint8]]:
    """Return every second chromosome of a simulated cell, longest first, as crops."""
    cell = simulate("46,XY", seed=12, nuclei=0, debris=0)
    crops = [
        np.where(mask, cell.pixels, 255)[y : y + height, x : x + width]
        for (x, y, width, height), mask in zip(cell.boxes, cell.masks, strict=True)
    ]
    return sorted(crops, key=lambda crop: -int((crop < 255).sum()))[::2]


def encode_png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    target = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(target, "PNG")
    return target.getvalue()


def variant(pixels: NDArray[np.uint8], name: str) -> bytes:
    match name:
        case "rotated by 180":
            return encode_png(np.rot90(pixels, 2))
        case "rotated by 90":
            return encode_png(np.rot90(pixels))
        case "inverted":
            return encode_png(255 - pixels)
        case "16 bit":
            return encode_png(pixels.astype(np.uint16) * 257)
        case _:
            return encode_png(pixels)


def classified(items: Sequence[ClassifiedCrop | RejectedCrop]) -> list[ClassifiedCrop]:
    assert all(isinstance(item, ClassifiedCrop) for item in items)
    return [item for item in items if isinstance(item, ClassifiedCrop)]


def test_orientation_polarity_and_bit_depth_change_little(embedder: Engine, crops: list[NDArray[np.uint8]]) -> None:
    cells = [[variant(crop, name) for crop in crops] for name in VARIANTS]
    results = dict(zip(VARIANTS, map(classified, classify_cells(cells, embedder)), strict=True))
    probabilities = {
        name: np.array([np.exp(item.prediction.log_probabilities) for item in items]) for name, items in results.items()
    }
    for name in VARIANTS[1:]:
        assert np.median(np.abs(probabilities[name] - probabilities["original"]).max(axis=1)) < 0.05, name
        assert (probabilities[name].argmax(axis=1) == probabilities["original"].argmax(axis=1)).mean() > 0.85, name
    upright, rotated = (
        np.array([np.nan if item.p_up is None else item.p_up for item in results[name]]) for name in VARIANTS[:2]
    )
    known = ~np.isnan(upright)
    assert known.mean() > 0.5
    assert np.nanmedian(np.abs(upright + rotated - 1)[known]) < 0.05


def test_invalid_crops_are_rejected_in_place_without_effect_on_others(
    embedder: Engine, crops: list[NDArray[np.uint8]]
) -> None:
    valid: list[CropFile] = [encode_png(crop) for crop in crops[:12]]
    invalid: list[CropFile] = [
        b"",
        b"no image",
        encode_png(np.full((30, 20), 77, np.uint8)),
        encode_png(np.zeros((3, 50), np.uint8)),
        encode_png(np.zeros((1001, 1000), np.uint8)),
        encode_png(np.dstack([crops[0]] * 3 + [np.where(crops[0] < 255, 255, 0).astype(np.uint8)])),
        valid[0][:60] if isinstance(valid[0], bytes) else valid[0],
        RejectedCrop("locked", "The file is locked."),
    ]
    mixed = [*valid[:3], *invalid, *valid[3:]]
    (with_invalid,), (without,) = classify_cells([mixed], embedder), classify_cells([valid], embedder)
    rejected = with_invalid[3 : 3 + len(invalid)]
    assert [item.reason for item in rejected if isinstance(item, RejectedCrop)] == [
        "empty_file",
        "not_an_image",
        "nothing_in_it",
        "too_small",
        "too_many_pixels",
        "transparent_image",
        "truncated",
        "locked",
    ]
    kept = classified([*with_invalid[:3], *with_invalid[3 + len(invalid) :]])
    assert [item.score for item in kept] == [item.score for item in classified(without)]
    assert list(classify_cells([invalid, []], embedder)) == [rejected, []]


def test_colour_is_decoded_as_grey(embedder: Engine, crops: list[NDArray[np.uint8]]) -> None:
    grey, colour = classify_population([encode_png(crops[0]), encode_png(np.dstack([crops[0]] * 3))], embedder)
    assert isinstance(grey, ClassifiedCrop)
    assert isinstance(colour, ClassifiedCrop)
    assert grey.prediction.top5 == colour.prediction.top5


def test_a_population_is_classified_as_one_cell_without_assignment(
    embedder: Engine, crops: list[NDArray[np.uint8]]
) -> None:
    files: list[CropFile] = [encode_png(crop) for crop in crops]
    measured: list[int] = []
    population = classified(classify_population([*files, *files, *files], embedder, advance=measured.append))
    (cell,) = classify_cells([files], embedder)
    assert sum(measured) == len(population) == 3 * len(files)
    assert {item.assignment for item in population} == {None}
    for one, other in zip(population, [*cell, *cell, *cell], strict=True):
        assert isinstance(other, ClassifiedCrop)
        np.testing.assert_allclose(np.exp(one.prediction.joint), np.exp(other.prediction.joint), atol=0.01)


def test_processes_do_not_change_the_result(embedder: Engine, crops: list[NDArray[np.uint8]]) -> None:
    files: list[CropFile] = [encode_png(crop) for crop in crops[:20]]
    cells = [files[:10], [b""], files[10:]]
    for one, other in zip(classify_cells(cells, embedder), classify_cells(iter(cells), embedder, jobs=2), strict=True):
        assert [str(item) for item in one] == [str(item) for item in other]


def test_a_horizontal_chromosome_has_no_upper_end(embedder: Engine, crops: list[NDArray[np.uint8]]) -> None:
    bar = np.full((60, 20), 255, np.uint8)
    bar[6:54, 5:15] = 90
    upright, horizontal = classified(classify_population([encode_png(bar), encode_png(bar.T)], embedder))
    assert upright.p_up is not None
    assert horizontal.p_up is None
