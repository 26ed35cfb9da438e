"""Masks cut by their tile are completed, and never by another chromosome."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from karyotyping.arrays import Grey
from karyotyping.image.normalise import Normalised
from karyotyping.image.tiles import Tile
from karyotyping.segmentation.agreement import AgreementParameters
from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.instance_decoding import STRIDE, Candidate, DecodeParameters
from karyotyping.segmentation.proposals import TiledImage, propose, tile_image
from karyotyping.segmentation.tile_borders import complete_masks
from tests.karyotyping.segmentation.test_proposals import Blobs

PARAMETERS = DecodeParameters()


def bars(*boxes: tuple[int, int, int, int]) -> Grey:
    stain = np.zeros((200, 320), np.float32)
    for x, y, w, h in boxes:
        cv2.rectangle(stain, (x, y), (x + w - 1, y + h - 1), 1.0, -1)
    return stain


def region(x: int, y: int, w: int, h: int) -> Contour:
    """Contour of a bar in pixels of the maps, with a margin of one."""
    return Contour(np.pad(np.ones((h // STRIDE, w // STRIDE), bool), 1), (x // STRIDE - 1, y // STRIDE - 1))


def candidate(box: tuple[int, int, int, int], *, cut: bool = False) -> Candidate:
    own = region(*box)
    return Candidate(own, np.where(own.mask, 4, -4).astype(np.float32), 0.8, (0.0, 0.0), cut)


def image_of(stain: Grey) -> TiledImage:
    return TiledImage(stain, (), np.full((100, 160), -1, np.int32), 1.0)


def test_the_part_beyond_the_tile_is_added_and_the_score_stays() -> None:
    whole = (100, 80, 120, 16)
    cut = candidate((100, 80, 84, 16), cut=True)
    (completed,) = complete_masks(image_of(bars(whole)), [cut], Blobs(), PARAMETERS)
    expected, found = (one.full_mask((100, 160)) for one in (region(*whole), completed.region))
    assert (expected & found).sum() / (expected | found).sum() > 0.9
    assert completed.score == cut.score


@pytest.mark.parametrize(
    ("stain", "cut", "other"),
    [
        (bars((100, 80, 120, 16)), candidate((100, 80, 84, 16)), None),
        (bars((100, 80, 120, 16)), candidate((100, 80, 84, 16), cut=True), candidate((184, 80, 36, 16))),
        (bars((100, 80, 120, 16)), candidate((100, 80, 60, 16), cut=True), None),
        (bars((20, 20, 120, 16)), candidate((100, 80, 84, 16), cut=True), None),
    ],
    ids=["not cut", "the rest is another chromosome", "twice as large", "elsewhere"],
)
def test_a_mask_stays_where_nothing_of_its_own_is_missing(stain: Grey, cut: Candidate, other: Candidate | None) -> None:
    chosen = [cut, *([other] if other else [])]
    assert complete_masks(image_of(stain), chosen, Blobs(), PARAMETERS) == chosen


def test_a_candidate_knows_that_its_tile_cut_it() -> None:
    stain = bars((60, 80, 160, 16))
    image = Normalised(stain, "light_on_dark", 0.0, 0.0, 1.0, 1.0, np.zeros(stain.shape, bool))
    tiled = tile_image(image, [Contour(np.ones((16, 80), bool), (60, 80))])
    assert tiled.tiles[0].x + tiled.tiles[0].width < 220
    (proposed,) = propose([tiled], Blobs(), PARAMETERS, AgreementParameters())
    assert [item.cut for item in proposed.candidates] == [True]
    inside = replace(tiled, tiles=(Tile(0, 0, 320, 208, tiled.tiles[0].owned),))
    (proposed,) = propose([inside], Blobs(), PARAMETERS, AgreementParameters())
    assert [item.cut for item in proposed.candidates] == [False]
