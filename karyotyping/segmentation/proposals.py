"""Candidates for chromosomes, by the segmenter network: models 4 and 5 of KaryoXpert in one.

Contours say where to look (Chen et al. 2024, section 3.3.2): each is seen whole, in one tile of the photograph at
canonical scale. Tiles of one size run through the network together, whichever photographs they are of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Grey, Mask
from karyotyping.image.normalise import Normalised
from karyotyping.image.tiles import Box, Tile, cover_boxes, split_box
from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.instance_decoding import (
    STRIDE,
    TILE_SIDE_STEP,
    Candidate,
    DecodeParameters,
    decode_instances,
)
from models.engine import Engine

_MARGIN = 20
"""Pixels of a tile about what it owns."""
_LARGEST = 384
"""Pixels that a side of a tile is long at most: in much larger ones than it learnt from the network tells chromosomes
worse."""
_WHOLE = _LARGEST - 2 * _MARGIN - 2 * TILE_SIDE_STEP
_PART = _LARGEST // 3
"""Largest side of the parts of contours that no tile holds: most of a chromosome that begins there still fits."""
_BESIDE = np.ones((17, 17), np.uint8)
"""How far from a contour the midpoint of what lies on it may be, pixels of the maps."""
_TOGETHER = 16
"""Tiles that run through the network at a time, at most."""


@dataclass(frozen=True, slots=True)
class TiledImage:
    """A photograph at canonical scale, and where the segmenter looks at it."""

    stain: Grey
    """(h, w)"""
    tiles: tuple[Tile, ...]
    owner: NDArray[np.int32]
    """(h / STRIDE, w / STRIDE), rounded up: which tile decides on this pixel of the maps; -1 for background."""
    zoom: float
    """Pixels of the view to one of the photograph."""


def tile_image(normalised: Normalised, contours: Sequence[Contour]) -> TiledImage:
    """The tiles of a photograph that hold its contours."""
    zoom = 1.0 / normalised.scale
    height, width = (max(1, round(n * zoom)) for n in normalised.stain.shape)
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    stain = np.asarray(cv2.resize(normalised.stain, (width, height), interpolation=how), np.float32)
    rows, columns = -(-height // STRIDE), -(-width // STRIDE)
    part_of = np.full((rows, columns), -1, np.int32)
    boxes: list[Box] = []
    for contour in contours:
        seen = _shrunk(contour, normalised.stain.shape, (rows, columns))
        if seen is None:
            continue
        x, y, w, h = cv2.boundingRect(seen.astype(np.uint8))
        box = STRIDE * x, STRIDE * y, STRIDE * w, STRIDE * h
        for part in [box] if max(w, h) * STRIDE <= _WHOLE else split_box(box, _PART):
            left, top, right, bottom = (n // STRIDE for n in (part[0], part[1], part[0] + part[2], part[1] + part[3]))
            window = np.s_[top:bottom, left:right]
            part_of[window][seen[window]] = len(boxes)
            boxes.append(part)
    tiles = cover_boxes(boxes, margin=_MARGIN, step=TILE_SIDE_STEP, max_side=_LARGEST)
    tile_of = np.full(len(boxes) + 1, -1, np.int32)  # the last is background's, -1
    for number, tile in enumerate(tiles):
        tile_of[list(tile.owned)] = number
    return TiledImage(stain, tuple(tiles), tile_of[part_of], zoom)


def _shrunk(contour: Contour, shape: tuple[int, ...], size: tuple[int, int]) -> Mask | None:
    """A contour of a photograph with this shape in maps of this size; None if nothing is left of it."""
    rows, columns = size
    y, x = contour.pixels(shape)
    result = np.zeros(size, bool)
    result[y * rows // shape[0], x * columns // shape[1]] = True
    return result if len(y) else None


@dataclass(frozen=True, slots=True)
class Proposals:
    """What may be chromosomes in a view, in the pixels of its maps."""

    candidates: list[Candidate]
    depth: NDArray[np.float32]
    """(h / STRIDE, w / STRIDE), rounded up: how many chromosomes are expected to lie on a pixel, 0..2."""


def propose(views: Sequence[TiledImage], engine: Engine, parameters: DecodeParameters) -> list[Proposals]:
    """What may be chromosomes in each view. One tile alone decides on each contour."""
    found = [Proposals([], np.zeros(seen.owner.shape, np.float32)) for seen in views]
    jobs = [_Job(k, number, tile) for k, seen in enumerate(views) for number, tile in enumerate(seen.tiles)]
    for size, alike in groupby(sorted(jobs, key=_Job.size), _Job.size):
        most = min(_TOGETHER, engine.largest_batch(size[0] * size[1]))
        while some := list(islice(alike, most)):
            maps = engine.infer({"stain": np.stack([job.tile.crop(views[job.view].stain)[None] for job in some])})
            for n, job in enumerate(some):
                _decide(job, {name: values[n] for name, values in maps.items()}, views, found, parameters)
    return found


@dataclass(frozen=True, slots=True)
class _Job:
    """A tile that is to be looked at."""

    view: int
    number: int
    """Among those of the view."""
    tile: Tile

    def size(self) -> tuple[int, int]:
        return self.tile.height, self.tile.width


def _decide(
    job: _Job,
    maps: dict[str, Grey],
    views: Sequence[TiledImage],
    found: Sequence[Proposals],
    parameters: DecodeParameters,
) -> None:
    """Add to what was ``found`` in its view what the maps of a tile say."""
    x, y = job.tile.x // STRIDE, job.tile.y // STRIDE
    owner, proposals = views[job.view].owner, found[job.view]
    wanted = _about(owner, job.number, (x, y), maps["centre"].shape[1:])
    moved = (item.shifted(x, y) for item in decode_instances(maps, parameters, wanted))
    proposals.candidates.extend(_owned(moved, owner, job.number))
    _paste(maps["dense"][0] + maps["dense"][1], proposals.depth, x, y)


def _paste(depth: NDArray[np.float32], into: NDArray[np.float32], x: int, y: int) -> None:
    """What a tile at ``x``, ``y`` says, where another says less: beside its border one sees too little."""
    h, w = depth.shape
    rows, columns = np.s_[max(0, y) : max(0, y + h)], np.s_[max(0, x) : max(0, x + w)]
    window = into[rows, columns]
    part = depth[max(0, -y) :, max(0, -x) :][: window.shape[0], : window.shape[1]]
    np.maximum(window, part, out=window)


def _about(owner: NDArray[np.int32], number: int, corner: tuple[int, int], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(h, w) of a tile with its upper left ``corner`` there: where midpoints of what it decides on may lie, which is
    beside the contour where that is bent."""
    x, y = corner
    owned = np.zeros(shape, np.uint8)
    window = owner[max(0, y) : max(0, y + shape[0]), max(0, x) : max(0, x + shape[1])]
    top, left = max(0, -y), max(0, -x)
    owned[top : top + window.shape[0], left : left + window.shape[1]] = window == number
    return np.asarray(cv2.dilate(owned, _BESIDE), np.uint8) > 0


def _owned(items: Iterator[Candidate], owner: NDArray[np.int32], number: int) -> list[Candidate]:
    """Those that lie, for the most part, on contours that this tile decides on."""
    kept = []
    for item in items:
        y, x = item.region.pixels(owner.shape)
        owners = owner[y, x]
        owners = owners[owners >= 0]
        if len(owners) and np.bincount(owners).argmax() == number:
            kept.append(item)
    return kept


def region_in_image(item: Candidate, zoom: float, level: float) -> Contour:
    """The region of a candidate in the pixels of the photograph, smooth at whatever scale.

    Args:
        item: in the pixels of the maps.
        zoom: of the view.
        level: logit from which on a pixel is inside.
    """
    step = zoom / STRIDE
    (x, y), (h, w) = item.region.origin, item.region.mask.shape
    left, top = int(np.floor(x / step)) - 1, int(np.floor(y / step)) - 1
    columns, rows = int(np.ceil((x + w) / step)) + 1 - left, int(np.ceil((y + h) / step)) + 1 - top
    # Pixel centres of the photograph to those of the crop.
    matrix = np.array([[step, 0, (left + 0.5) * step - 0.5 - x], [0, step, (top + 0.5) * step - 0.5 - y]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpAffine(item.logits, matrix, (columns, rows), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return Contour(drawn > level, (left, top))
