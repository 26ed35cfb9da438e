"""Regions that a person draws on a metaphase image, in its pixels."""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from karyotyping.arrays import Mask

_MAX_SIDE = 2**20  # px
_MAX_POINTS = 10_000

Coordinate = Annotated[float, Field(ge=-_MAX_SIDE, le=_MAX_SIDE, allow_inf_nan=False)]
"""Pixels from the left or upper border; the middle of the first pixel is 0."""


class Box(BaseModel):
    """A rectangle of whole pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["box"] = "box"
    x: int = Field(ge=-_MAX_SIDE, le=_MAX_SIDE)
    y: int = Field(ge=-_MAX_SIDE, le=_MAX_SIDE)
    width: int = Field(ge=1, le=_MAX_SIDE)
    height: int = Field(ge=1, le=_MAX_SIDE)


class Polygon(BaseModel):
    """An outline; its first and last points are joined."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["polygon"] = "polygon"
    points: tuple[tuple[Coordinate, Coordinate], ...] = Field(min_length=3, max_length=_MAX_POINTS)
    """x and y of each point."""


Region = Annotated[Box | Polygon, Field(discriminator="kind")]


def draw_region(region: Box | Polygon, shape: tuple[int, int]) -> Mask:
    """Return the pixels (H, W) of a region inside an image.

    Args:
        region: what a person has drawn; it may reach beyond the image.
        shape: H, W of the image.

    >>> draw_region(Box(x=1, y=-5, width=2, height=6), (2, 4)).astype(int).tolist()
    [[0, 1, 1, 0], [0, 0, 0, 0]]
    """
    mask = np.zeros(shape, np.uint8)
    if isinstance(region, Box):
        mask[
            max(region.y, 0) : max(region.y + region.height, 0), max(region.x, 0) : max(region.x + region.width, 0)
        ] = 1
    else:
        cv2.fillPoly(mask, [np.rint(np.array(region.points)).astype(np.int32)], 1)
    return mask.view(np.bool_)
