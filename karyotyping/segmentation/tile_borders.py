"""Masks that end at the border of their tile, decoded again in a tile of their own.

A pale band can cut the contour of a chromosome in two. A tile around one of them shows its end, and the rest of the
chromosome is beyond the border. Which candidates are selected is decided before, so that no chromosome is lost or
found here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from karyotyping.arrays import Mask
from karyotyping.image.tiles import cover_boxes
from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.instance_decoding import (
    STRIDE,
    TILE_SIDE_STEP,
    Candidate,
    DecodeParameters,
    decode_instances,
)
from karyotyping.segmentation.proposals import MAX_TILE_SIDE, TiledImage
from models.engine import Engine

_MARGIN = 48  # px between the box of a mask and the border of its own tile; half of a long chromosome
_MIN_KEPT = 0.9  # share of a mask, 0..1, that the new one has
_MAX_GROWTH = 1.5  # area of the new mask over that of the old one
_MAX_TAKEN = 0.3  # share of the new pixels, 0..1, that other chromosomes have


def complete_masks(
    image: TiledImage, chosen: Sequence[Candidate], engine: Engine, parameters: DecodeParameters
) -> list[Candidate]:
    """Return selected candidates, those whose mask was cut with what a tile of their own shows.

    A candidate stays as it is where its tile shows no mask that contains it. Scores stay.

    Args:
        image: the image with its tiles.
        chosen: (N,) selected candidates of the image.
        engine: the segmenter network.
        parameters: thresholds of decoding.
    """
    result = []
    for item in chosen:
        others = [other.region for other in chosen if other is not item]
        completed = _completed(image, item, others, engine, parameters) if item.cut else None
        result.append(completed or item)
    return result


def _completed(
    image: TiledImage, item: Candidate, others: Sequence[Contour], engine: Engine, parameters: DecodeParameters
) -> Candidate | None:
    """Return a candidate as its own tile shows it; None if that shows no mask that contains it."""
    (left, top), (h, w) = item.region.origin, item.region.mask.shape
    box = STRIDE * left, STRIDE * top, STRIDE * w, STRIDE * h
    if max(box[2:]) + 2 * (_MARGIN + TILE_SIDE_STEP) > MAX_TILE_SIDE:
        return None
    (tile,) = cover_boxes([box], margin=_MARGIN, step=TILE_SIDE_STEP, max_side=MAX_TILE_SIDE)
    maps = engine.infer({"stain": tile.crop(image.stain)[None, None]})
    found = decode_instances({name: values[0] for name, values in maps.items()}, parameters)
    placed = [one.shifted(tile.x // STRIDE, tile.y // STRIDE) for one in found]
    fitting = [one for one in placed if _completes(one.region, item.region, others)]
    best = max(fitting, key=lambda one: one.score, default=None)
    return None if best is None else replace(best, score=item.score)


def _completes(new: Contour, old: Contour, others: Sequence[Contour]) -> bool:
    """Return whether a mask is another one with more of the same chromosome."""
    shared = new.overlap_area(old)
    if shared < _MIN_KEPT * old.area or not old.area < new.area <= _MAX_GROWTH * old.area:
        return False
    added = Contour(new.mask & ~_within(old, new), new.origin)
    return sum(added.overlap_area(other) for other in others) <= _MAX_TAKEN * added.area


def _within(region: Contour, frame: Contour) -> Mask:
    """Return a region's mask in the crop of another one."""
    height, width = frame.mask.shape
    shifted = Contour(region.mask, (region.origin[0] - frame.origin[0], region.origin[1] - frame.origin[1]))
    return shifted.full_mask((height, width))
