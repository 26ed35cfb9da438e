"""Pictures of single chromosomes: any way up, either contrast, in processes or not, the bad beside the good."""

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

TURNS = ("as it is", "upside down", "on its side", "inverted", "16 bit")


@pytest.fixture(scope="module")
def embedder() -> Engine:
    return load_engine(registry.resolve(EMBEDDER).path, "cpu")


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    """Half the chromosomes of a simulated cell, longest first, cut out along their outlines."""
    cell = simulate("46,XY", seed=12, nuclei=0, debris=0)
    cut = [
        np.where(mask, cell.pixels, 255)[y : y + height, x : x + width]
        for (x, y, width, height), mask in zip(cell.boxes, cell.masks, strict=True)
    ]
    return sorted(cut, key=lambda picture: -int((picture < 255).sum()))[::2]


def png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    target = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(target, "PNG")
    return target.getvalue()


def turned(pixels: NDArray[np.uint8], how: str) -> bytes:
    match how:
        case "upside down":
            return png(np.rot90(pixels, 2))
        case "on its side":
            return png(np.rot90(pixels))
        case "inverted":
            return png(255 - pixels)
        case "16 bit":
            return png(pixels.astype(np.uint16) * 257)
        case _:
            return png(pixels)


def answers(items: Sequence[ClassifiedCrop | RejectedCrop]) -> list[ClassifiedCrop]:
    assert all(isinstance(item, ClassifiedCrop) for item in items)
    return [item for item in items if isinstance(item, ClassifiedCrop)]


def test_posture_contrast_and_depth_change_little(embedder: Engine, pictures: list[NDArray[np.uint8]]) -> None:
    cells = [[turned(picture, how) for picture in pictures] for how in TURNS]
    together = dict(zip(TURNS, map(answers, classify_cells(cells, embedder)), strict=True))
    alone = {
        how: np.array([np.exp(item.classified.log_probabilities) for item in items]) for how, items in together.items()
    }
    for how in TURNS[1:]:
        assert np.median(np.abs(alone[how] - alone["as it is"]).max(axis=1)) < 0.05, how
        assert (alone[how].argmax(axis=1) == alone["as it is"].argmax(axis=1)).mean() > 0.85, how
    upright, upside_down = (
        np.array([np.nan if item.p_up is None else item.p_up for item in together[how]]) for how in TURNS[:2]
    )
    known = ~np.isnan(upright)
    assert known.mean() > 0.5
    assert np.nanmedian(np.abs(upright + upside_down - 1)[known]) < 0.05


def test_the_bad_are_refused_in_their_place_and_change_nothing(
    embedder: Engine, pictures: list[NDArray[np.uint8]]
) -> None:
    good: list[CropFile] = [png(picture) for picture in pictures[:12]]
    bad: list[CropFile] = [
        b"",
        b"no picture",
        png(np.full((30, 20), 77, np.uint8)),
        png(np.zeros((3, 50), np.uint8)),
        png(np.zeros((1001, 1000), np.uint8)),
        png(np.dstack([pictures[0]] * 3 + [np.where(pictures[0] < 255, 255, 0).astype(np.uint8)])),
        good[0][:60] if isinstance(good[0], bytes) else good[0],
        RejectedCrop("locked", "The file is locked."),
    ]
    mixed = [*good[:3], *bad, *good[3:]]
    (with_bad,), (without,) = classify_cells([mixed], embedder), classify_cells([good], embedder)
    refused = with_bad[3 : 3 + len(bad)]
    assert [item.reason for item in refused if isinstance(item, RejectedCrop)] == [
        "empty_file",
        "not_an_image",
        "nothing_in_it",
        "too_small",
        "too_many_pixels",
        "transparent_image",
        "truncated",
        "locked",
    ]
    kept = answers([*with_bad[:3], *with_bad[3 + len(bad) :]])
    assert [item.score for item in kept] == [item.score for item in answers(without)]
    assert list(classify_cells([bad, []], embedder)) == [refused, []]


def test_colour_is_read_as_grey(embedder: Engine, pictures: list[NDArray[np.uint8]]) -> None:
    grey, colour = classify_population([png(pictures[0]), png(np.dstack([pictures[0]] * 3))], embedder)
    assert isinstance(grey, ClassifiedCrop)
    assert isinstance(colour, ClassifiedCrop)
    assert grey.classified.top5 == colour.classified.top5


def test_a_population_is_one_cell_of_any_size_without_an_assignment(
    embedder: Engine, pictures: list[NDArray[np.uint8]]
) -> None:
    files: list[CropFile] = [png(picture) for picture in pictures]
    measured: list[int] = []
    population = answers(classify_population([*files, *files, *files], embedder, advance=measured.append))
    (cell,) = classify_cells([files], embedder)
    assert sum(measured) == len(population) == 3 * len(files)
    assert {item.assigned for item in population} == {None}
    for one, other in zip(population, [*cell, *cell, *cell], strict=True):
        assert isinstance(other, ClassifiedCrop)
        np.testing.assert_allclose(np.exp(one.classified.joint), np.exp(other.classified.joint), atol=0.01)


def test_processes_change_nothing(embedder: Engine, pictures: list[NDArray[np.uint8]]) -> None:
    files: list[CropFile] = [png(picture) for picture in pictures[:20]]
    cells = [files[:10], [b""], files[10:]]
    for one, other in zip(classify_cells(cells, embedder), classify_cells(iter(cells), embedder, jobs=2), strict=True):
        assert [str(item) for item in one] == [str(item) for item in other]


def test_a_chromosome_that_lies_flat_has_no_upper_end(embedder: Engine, pictures: list[NDArray[np.uint8]]) -> None:
    bar = np.full((60, 20), 255, np.uint8)
    bar[6:54, 5:15] = 90
    standing, flat = answers(classify_population([png(bar), png(bar.T)], embedder))
    assert standing.p_up is not None
    assert flat.p_up is None
