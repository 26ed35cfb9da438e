"""The router's inputs, and the shipped router on unambiguous shapes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.router import (
    GEOMETRY,
    NOISE,
    PART,
    ROUTER,
    ROUTES,
    SIDE,
    SINGLE,
    Regions,
    describe,
    route,
)
from models.engine import OnnxEngine, Placement, load_engine
from models.registry import available, resolve

WIDTH = 12.0
TYPICAL = 500.0


def rod(length: int, width: int, angle: float = 30.0) -> NDArray[np.bool_]:
    """A straight chromosome without bands, with round ends."""
    y, x = np.mgrid[:140, :140] - 69.5
    turn = np.deg2rad(angle)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    beyond = np.maximum(np.abs(along) - (length - width) / 2, 0)
    return np.asarray(np.hypot(beyond, across) <= width / 2, bool)


@pytest.fixture(scope="module")
def router() -> OnnxEngine:
    if ROUTER not in available():
        pytest.skip("the router's weights are not in models/weights")
    return load_engine(resolve(ROUTER).path, "cpu", Placement(threads=1))


def test_a_region_fills_its_square_and_keeps_its_size_in_the_geometry() -> None:
    mask = rod(60, 12, angle=0.0)
    appearance, geometry = describe(mask.astype(np.float32), mask, WIDTH, TYPICAL)
    assert appearance.shape == (2, SIDE, SIDE)
    rows, columns = np.nonzero(appearance[1])
    assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == (SIDE - 4, pytest.approx(SIDE / 5, abs=2))
    numbers = dict(zip(GEOMETRY, geometry, strict=True))
    assert numbers["log longer side / width"] == pytest.approx(np.log(60 / WIDTH), abs=0.05)
    assert numbers["log shorter side / width"] == pytest.approx(0, abs=0.15)
    assert numbers["solidity"] == pytest.approx(1, abs=0.05)
    assert numbers["mean stain"] == 1


def test_geometry_does_not_depend_on_the_scale_of_the_image() -> None:
    small, large = rod(40, 10), cv2.resize(rod(40, 10).astype(np.uint8), None, fx=2, fy=2) > 0
    one = describe(small.astype(np.float32), small, WIDTH, TYPICAL)[1]
    other = describe(large.astype(np.float32), large, 2 * WIDTH, 4 * TYPICAL)[1]
    np.testing.assert_allclose(one, other, atol=0.12)


def test_inputs_of_the_smallest_region_are_finite() -> None:
    appearance, geometry = describe(
        np.ones((3, 3), np.float32), np.eye(3, dtype=bool) & (np.arange(3) == 1), 12.0, 500.0
    )
    assert np.isfinite(appearance).all()
    assert np.isfinite(geometry).all()


def test_images_share_a_batch_and_get_their_own_probabilities(router: OnnxEngine) -> None:
    stain = np.zeros((300, 300), np.float32)
    stain[10:150, 20:160] = cv2.GaussianBlur(rod(62, 12).astype(np.float32), (0, 0), 1.2)
    regions = [Contour(rod(60, 12), (20, 10)), Contour(rod(24, 12), (20, 10))]
    whole, none, one = (Regions(some, stain, WIDTH, TYPICAL) for some in (regions, [], regions[1:]))
    probabilities, nothing, again = route(router, [whole, none, one])
    assert (probabilities.shape, nothing.shape) == ((2, len(ROUTES)), (0, len(ROUTES)))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert probabilities[0].argmax() == SINGLE
    np.testing.assert_allclose(again, probabilities[1:], atol=1e-5)


def test_a_faint_blot_is_noise(router: OnnxEngine) -> None:
    mask = rod(9, 8)
    faint = Regions([Contour(mask, (0, 0))], 0.3 * mask.astype(np.float32), WIDTH, TYPICAL)
    (probabilities,) = route(router, [faint])
    assert probabilities[0, [NOISE, PART]].sum() > 0.8
