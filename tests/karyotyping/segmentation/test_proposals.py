"""Tiles of an image, which tile decides, and masks in pixels of the image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.image.normalise import Normalised, normalise
from karyotyping.segmentation.contours import Contour, ContourParameters, find_contours
from karyotyping.segmentation.instance_decoding import (
    AXIS_BINS,
    DENSE_MAPS,
    HIDDEN_UNITS,
    KERNEL_STRIDE,
    PROTOTYPES,
    STRIDE,
    Candidate,
    DecodeParameters,
)
from karyotyping.segmentation.proposals import Proposals, TiledImage, locate, propose, region_in_image, tile_image
from training.simulation import simulate

KERNEL = HIDDEN_UNITS * (PROTOTYPES + 2) + 2 * HIDDEN_UNITS + 1


class Blobs:
    """An engine without a network: each blob of stain is a chromosome."""

    digest, providers = "blobs", ("none",)

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def largest_batch(self, values: int) -> int:
        return 5

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        stain = inputs["stain"]
        self.shapes.append(stain.shape)
        count, _, *sides = stain.shape
        half, quarter = (tuple(side // by for side in sides) for by in (STRIDE, STRIDE * KERNEL_STRIDE))
        maps = {
            "centre": np.zeros((count, AXIS_BINS, *half), np.float32),
            "kernel": np.zeros((count, AXIS_BINS, KERNEL, *quarter), np.float32),
            "quality": np.ones((count, AXIS_BINS, *quarter), np.float32),
            "prototypes": np.zeros((count, PROTOTYPES, *half), np.float32),
            "dense": np.zeros((count, len(DENSE_MAPS), *half), np.float32),
        }
        for n, tile in enumerate(stain[:, 0]):
            small = cv2.resize(tile, half[::-1], interpolation=cv2.INTER_AREA)
            blobs, labels, _, centroids = cv2.connectedComponentsWithStats((small > 0.3).astype(np.uint8))
            maps["dense"][n, 0] = labels > 0
            for k in range(1, blobs):
                rows, columns = np.nonzero(labels == k)
                nearest = int(np.argmin(np.hypot(columns - centroids[k][0], rows - centroids[k][1])))
                row, column = rows[nearest], columns[nearest]
                maps["centre"][n, 0, row, column] = 0.9
                cell = maps["kernel"][n, 0, :, row // KERNEL_STRIDE, column // KERNEL_STRIDE]
                code = np.where((k >> np.arange(PROTOTYPES)) & 1, 1.0, -1.0)
                maps["prototypes"][n][:, labels == k] = code[:, None]
                cell[:PROTOTYPES], cell[HIDDEN_UNITS * (PROTOTYPES + 2)] = code, 1.0 - PROTOTYPES  # 1 where all agree
                cell[HIDDEN_UNITS * (PROTOTYPES + 2) + HIDDEN_UNITS], cell[-1] = 8.0, -4.0
        maps["kernel"] = maps["kernel"].reshape(count, AXIS_BINS * KERNEL, *quarter)
        return maps


def tiled(image: Normalised) -> TiledImage:
    return tile_image(image, find_contours(image, ContourParameters()).regions)


def proposed_regions(images: list[Normalised], engine: Blobs) -> list[list[tuple[Contour, float]]]:
    parameters = DecodeParameters()
    tiled_images = [tiled(image) for image in images]
    return [
        [(region_in_image(item, tiled_image.zoom, parameters.level), item.score) for item in proposed.candidates]
        for tiled_image, proposed in zip(tiled_images, propose(tiled_images, engine, parameters), strict=True)
    ]


@pytest.mark.parametrize("zoom", [0.75, 1.0, 1.7])
def test_separate_chromosomes_are_proposed_once_at_every_scale(zoom: float) -> None:
    cell = simulate("46,XX", seed=3, contrast="fluorescence")
    size = tuple(round(n * zoom) for n in cell.pixels.shape[::-1])
    image = normalise(np.asarray(cv2.resize(cell.pixels, size, interpolation=cv2.INTER_AREA), np.uint8))
    (found,) = proposed_regions([image], Blobs())
    masks = [region.full_mask((size[1], size[0])) for region, _ in found]
    truths = [cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_AREA) > 0 for mask in cell.masks]
    best = [max((a & truth).sum() / (a | truth).sum() for a in masks) for truth in truths]
    assert np.mean(np.array(best) > 0.6) > 0.9
    assert len(masks) <= len(truths) + 6


def test_images_share_batches_and_keep_their_proposals() -> None:
    images = [normalise(simulate("46,XX", seed=seed, contrast="fluorescence").pixels) for seed in (3, 4, 3)]
    engine = Blobs()
    together = proposed_regions(images, engine)
    sizes = Counter(shape[2:] for shape in engine.shapes)
    tiles = Counter((tile.height, tile.width) for image in images for tile in tiled(image).tiles)
    assert tiles.total() > len(images)
    assert sizes == {size: -(-count // 5) for size, count in tiles.items()}
    for image, found in zip(images, together, strict=True):
        (alone,) = proposed_regions([image], Blobs())
        assert [region.origin for region, _ in alone] == [region.origin for region, _ in found]


def test_an_image_without_contours_runs_no_network() -> None:
    engine = Blobs()
    blank = normalise(np.full((100, 120), 20, np.uint8))
    tiled_image = tile_image(blank, [])
    assert tiled_image.tiles == ()
    (proposed,) = propose([tiled_image], engine, DecodeParameters())
    assert proposed.candidates == []
    assert proposed.depth.max() == 0
    assert engine.shapes == []


def test_a_mask_keeps_size_and_position_in_the_image() -> None:
    """A disc in the maps is the disc of the same radius over ``zoom``, at the same place."""
    for zoom in (0.7, 1.0, 1.6):
        y, x = np.mgrid[:30, :30].astype(np.float32)
        logits = (9 - np.hypot(x - 14.5, y - 14.5)).astype(np.float32)
        region = region_in_image(Candidate(Contour(logits > 0, (40, 20)), logits, 0.9, (54.5, 34.5)), zoom, 0.0)
        rows, columns = region.pixels((999, 999))
        step = STRIDE / zoom
        assert len(rows) == pytest.approx(np.pi * (9 * step) ** 2, rel=0.03)
        assert (columns + 0.5).mean() == pytest.approx((40 + 15) * step, abs=0.2)
        assert (rows + 0.5).mean() == pytest.approx((20 + 15) * step, abs=0.2)


def test_a_contour_larger_than_a_tile_is_split_among_tiles() -> None:
    stain = np.zeros((420, 700), np.float32)
    for k in range(14):  # a ladder: 14 bars on one rail
        stain[60:300, 40 + 45 * k : 52 + 45 * k] = 1
    stain[58:64, 40:640] = 0.35
    image = Normalised(stain, "light_on_dark", 0.01, 0.0, 0.5, 1.0, np.zeros(stain.shape, bool))
    tiled_image = tile_image(image, find_contours(image, ContourParameters(floor=0.2)).regions)
    assert len(tiled_image.tiles) > 1
    owners = np.unique(tiled_image.owner)
    assert set(owners) == {-1, *range(len(tiled_image.tiles))}


def test_candidates_without_pixels_in_the_image_are_left_out() -> None:
    items = []
    for column, mask in ((20, np.ones((12, 1), bool)), (40, np.ones((12, 6), bool)), (90, np.ones((12, 6), bool))):
        framed = np.pad(mask, 1)
        items.append(
            Candidate(Contour(framed, (column, 20)), np.where(framed, 0.5, -12.0).astype(np.float32), 0.9, (0, 0))
        )
    coarse = 8.0  # one pixel of the image is four of the maps
    located, in_image = locate(Proposals(items, np.zeros((60, 100), np.float32)), coarse, 0.0, (15, 20))
    assert located.candidates == [items[1]]
    (region,) = in_image(located.candidates)
    assert region.area > 0
    assert len(region.pixels((15, 20))[0]) == region.area
