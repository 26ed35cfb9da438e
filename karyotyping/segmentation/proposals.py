"""Candidates for chromosomes by the segmenter network.

One network replaces models 4 and 5 of KaryoXpert (Chen et al. 2024, section 3.3.2). It processes tiles around the
contours, at canonical scale; one tile alone decides on each contour. Tiles of one size share batches across images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Floats32, Grey, Mask
from karyotyping.image.normalise import Normalised
from karyotyping.image.orientation import orient_planes, restore_orientation
from karyotyping.image.tiles import Box, Tile, cover_boxes, split_box
from karyotyping.segmentation.agreement import AgreementParameters, agree, restore_candidate
from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.instance_decoding import (
    STRIDE,
    TILE_SIDE_STEP,
    Candidate,
    DecodeParameters,
    decode_instances,
)
from models.engine import Engine

MAX_TILE_SIDE = 384
"""Largest side of a tile, px; accuracy falls on tiles much larger than those of training."""

_TILE_MARGIN = 20  # px between the boxes of a tile and its border
_MAX_WHOLE_SIDE = MAX_TILE_SIDE - 2 * _TILE_MARGIN - 2 * TILE_SIDE_STEP  # px of a contour that one tile holds
_MAX_PART_SIDE = MAX_TILE_SIDE // 3  # px of the parts of larger contours; a chromosome at their border still fits
_MIDPOINT_KERNEL = np.ones((17, 17), np.uint8)  # midpoints of bent chromosomes are up to 8 px of the maps outside
_MAX_BATCH = 16  # tiles


@dataclass(frozen=True, slots=True)
class TiledImage:
    """A metaphase image at canonical scale, and the tiles that the segmenter processes."""

    stain: Grey
    """(h, w)"""
    tiles: tuple[Tile, ...]
    owner: NDArray[np.int32]
    """(ceil(h / STRIDE), ceil(w / STRIDE)): index of the tile that decides on the pixel, -1 for background."""
    zoom: float
    """Pixels of ``stain`` for one pixel of the metaphase image."""


def tile_image(normalised: Normalised, contours: Sequence[Contour]) -> TiledImage:
    """Scale an image to canonical width and cover its contours with tiles."""
    zoom = 1.0 / normalised.scale
    height, width = (max(1, round(n * zoom)) for n in normalised.stain.shape)
    interpolation = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    stain = np.asarray(cv2.resize(normalised.stain, (width, height), interpolation=interpolation), np.float32)
    rows, columns = -(-height // STRIDE), -(-width // STRIDE)
    box_of = np.full((rows, columns), -1, np.int32)
    boxes: list[Box] = []
    for contour in contours:
        mask = _to_maps(contour, normalised.stain.shape, (rows, columns))
        if mask is None:
            continue
        (x, y), (h, w) = mask.origin, mask.mask.shape
        whole = STRIDE * x, STRIDE * y, STRIDE * w, STRIDE * h
        for box in [whole] if max(w, h) * STRIDE <= _MAX_WHOLE_SIDE else split_box(whole, _MAX_PART_SIDE):
            left, top, right, bottom = (n // STRIDE for n in (box[0], box[1], box[0] + box[2], box[1] + box[3]))
            part = mask.mask[top - y : bottom - y, left - x : right - x]
            box_of[top:bottom, left:right][part] = len(boxes)
            boxes.append(box)
    tiles = cover_boxes(boxes, margin=_TILE_MARGIN, step=TILE_SIDE_STEP, max_side=MAX_TILE_SIDE)
    tile_of = np.full(len(boxes) + 1, -1, np.int32)  # index -1, background, is the last element
    for number, tile in enumerate(tiles):
        tile_of[list(tile.owned)] = number
    return TiledImage(stain, tuple(tiles), tile_of[box_of], zoom)


def _to_maps(contour: Contour, shape: tuple[int, ...], size: tuple[int, int]) -> Contour | None:
    """Return a contour of an image of ``shape`` in maps of ``size``; None if empty."""
    y, x = contour.pixels(shape)
    if not len(y):
        return None
    y, x = y * size[0] // shape[0], x * size[1] // shape[1]
    top, left = int(y.min()), int(x.min())
    mask = np.zeros((int(y.max()) + 1 - top, int(x.max()) + 1 - left), bool)
    mask[y - top, x - left] = True
    return Contour(mask, (left, top))


@dataclass(frozen=True, slots=True)
class Proposals:
    """Candidates of one image, in pixels of its maps."""

    candidates: list[Candidate]
    depth: Floats32
    """(ceil(h / STRIDE), ceil(w / STRIDE)): expected number of chromosomes on each pixel, 0..2."""


def propose(
    images: Sequence[TiledImage], engine: Engine, decoding: DecodeParameters, agreement: AgreementParameters
) -> list[Proposals]:
    """Run the segmenter on the tiles of images, in several orientations, and decode its maps.

    Args:
        images: images with their tiles.
        engine: the segmenter network.
        decoding: thresholds of decoding.
        agreement: orientations, and how their candidates become one list.
    """
    by_turn = {turn: [_no_proposals(image) for image in images] for turn in agreement.turns}
    jobs = [
        _TileJob(k, number, tile, turn)
        for turn in agreement.turns
        for k, image in enumerate(images)
        for number, tile in enumerate(image.tiles)
    ]
    for size, same_size in groupby(sorted(jobs, key=_TileJob.size), _TileJob.size):
        max_batch = min(_MAX_BATCH, engine.largest_batch(size[0] * size[1]))
        while batch := list(islice(same_size, max_batch)):
            maps = engine.infer({"stain": np.stack([job.crop(images[job.image].stain)[None] for job in batch])})
            for n, job in enumerate(batch):
                own = {name: values[n] for name, values in maps.items()}
                _add_tile(job, own, images[job.image], by_turn[job.turn][job.image], decoding)
    return [
        Proposals(
            agree([own.candidates for own in orientations], agreement),
            np.mean([own.depth for own in orientations], axis=0, dtype=np.float32),
        )
        for orientations in zip(*by_turn.values(), strict=True)
    ]


def _no_proposals(image: TiledImage) -> Proposals:
    return Proposals([], np.zeros(image.owner.shape, np.float32))


@dataclass(frozen=True, slots=True)
class _TileJob:
    """A tile to process in one orientation."""

    image: int
    """Index of the image."""
    number: int
    """Index among the image's tiles."""
    tile: Tile
    turn: int
    """Orientation, 0..7."""

    def size(self) -> tuple[int, int]:
        """Return height and width of what the network sees."""
        return (self.tile.width, self.tile.height) if self.turn % 2 else (self.tile.height, self.tile.width)

    def crop(self, stain: Grey) -> Grey:
        """Return what the network sees."""
        return orient_planes(self.tile.crop(stain), self.turn)


def _add_tile(
    job: _TileJob, maps: dict[str, Floats32], image: TiledImage, into: Proposals, parameters: DecodeParameters
) -> None:
    """Add the candidates and the depth of a tile to its image's proposals in one orientation."""
    x, y = job.tile.x // STRIDE, job.tile.y // STRIDE
    depth = restore_orientation(maps["dense"][0] + maps["dense"][1], job.turn)
    wanted = orient_planes(_midpoint_area(image.owner, job.number, (x, y), depth.shape), job.turn)
    items = decode_instances(maps, parameters, wanted)
    placed = (restore_candidate(item, job.turn, depth.shape).shifted(x, y) for item in items)
    into.candidates.extend(
        replace(item, cut=_is_cut(item.region, job.tile, image.owner.shape))
        for item in _owned(placed, image.owner, job.number)
    )
    _merge_depth(depth, into.depth, x, y)


def _is_cut(region: Contour, tile: Tile, shape: tuple[int, ...]) -> bool:
    """Return whether a mask ends at the border of its tile inside the image.

    Args:
        region: in pixels of the maps.
        tile: that it was decoded in.
        shape: rows and columns of the maps.
    """
    (x, y), (h, w) = region.origin, region.mask.shape
    left, top, right, bottom = (n // STRIDE for n in (tile.x, tile.y, tile.x + tile.width, tile.y + tile.height))
    return (
        (x < left and left > 0)
        or (y < top and top > 0)
        or (x + w > right and right < shape[1])
        or (y + h > bottom and bottom < shape[0])
    )


def _merge_depth(depth: Floats32, into: Floats32, x: int, y: int) -> None:
    """Take the maximum with a tile's depth at ``x``, ``y``: it is too low near the border."""
    h, w = depth.shape
    rows, columns = np.s_[max(0, y) : max(0, y + h)], np.s_[max(0, x) : max(0, x + w)]
    window = into[rows, columns]
    part = depth[max(0, -y) :, max(0, -x) :][: window.shape[0], : window.shape[1]]
    np.maximum(window, part, out=window)


def _midpoint_area(owner: NDArray[np.int32], number: int, corner: tuple[int, int], shape: tuple[int, ...]) -> Mask:
    """Return where in a tile midpoints of its contours may be, outside bent contours included.

    Args:
        owner: tile index of each pixel of the maps.
        number: index of the tile.
        corner: x, y of the tile's upper left corner, px of the maps.
        shape: h, w of the tile, px of the maps.
    """
    x, y = corner
    owned = np.zeros(shape, np.uint8)
    window = owner[max(0, y) : max(0, y + shape[0]), max(0, x) : max(0, x + shape[1])]
    top, left = max(0, -y), max(0, -x)
    owned[top : top + window.shape[0], left : left + window.shape[1]] = window == number
    return np.asarray(cv2.dilate(owned, _MIDPOINT_KERNEL), np.uint8) > 0


def _owned(items: Iterator[Candidate], owner: NDArray[np.int32], number: int) -> list[Candidate]:
    """Return the candidates of which most foreground belongs to tile ``number``."""
    kept = []
    for item in items:
        owners = item.region.values(owner)
        owners = owners[owners >= 0]
        if len(owners) and np.bincount(owners).argmax() == number:
            kept.append(item)
    return kept


def region_in_image(item: Candidate, zoom: float, level: float) -> Contour:
    """Return the region of a candidate in pixels of the metaphase image.

    Logits are interpolated, so that outlines are smooth at every scale.

    Args:
        item: in pixels of the maps.
        zoom: of the :class:`TiledImage`.
        level: least logit of a mask's pixel.
    """
    step = zoom / STRIDE
    (x, y), (h, w) = item.region.origin, item.region.mask.shape
    left, top = int(np.floor(x / step)) - 1, int(np.floor(y / step)) - 1
    columns, rows = int(np.ceil((x + w) / step)) + 1 - left, int(np.ceil((y + h) / step)) + 1 - top
    # From pixel centres of the metaphase image to those of the crop.
    matrix = np.array([[step, 0, (left + 0.5) * step - 0.5 - x], [0, step, (top + 0.5) * step - 0.5 - y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    logits = cv2.warpAffine(item.logits, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return Contour(logits > level, (left, top))


def locate(
    proposed: Proposals, zoom: float, level: float, shape: tuple[int, int]
) -> tuple[Proposals, Callable[[Sequence[Candidate]], list[Contour]]]:
    """Return the candidates that have pixels in the metaphase image, and their regions.

    In an image that is coarser than the maps, a candidate may be thinner than a pixel.

    Args:
        proposed: candidates in pixels of the maps.
        zoom: of the :class:`TiledImage`.
        level: least logit of a mask's pixel.
        shape: H, W of the metaphase image.

    Returns:
        The candidates left, and a function from some of them to their regions inside the image.
    """
    placed = [(item, region_in_image(item, zoom, level).clipped(shape)) for item in proposed.candidates]
    regions = {id(item.region): region for item, region in placed if region.mask.any()}
    visible = [item for item in proposed.candidates if id(item.region) in regions]
    return replace(proposed, candidates=visible), lambda items: [regions[id(item.region)] for item in items]
