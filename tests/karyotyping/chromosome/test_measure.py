"""Measurement of drawn chromosomes with known length, axis, bands and centromere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.chromosome.measure import measure, measure_cell
from karyotyping.chromosome.medial_axis import arc_length, largest_part, medial_axis

AxisCurve = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Profile = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def straight(angle: float) -> AxisCurve:
    return lambda t: np.stack([t * np.sin(angle), t * np.cos(angle)], axis=1)


def arc(radius: float) -> AxisCurve:
    return lambda t: np.stack([radius * np.cos(t / radius), radius * np.sin(t / radius)], axis=1)


def s_shape(length: float) -> AxisCurve:
    def curve(t: NDArray[np.float64]) -> NDArray[np.float64]:
        heading = 0.9 * np.sin(2 * np.pi * t / length)
        return np.stack([np.cumsum(np.sin(heading)), np.cumsum(np.cos(heading))], axis=1) * (t[1] - t[0])

    return curve


def draw(
    curve: AxisCurve, length: float, width: float, bands: Profile = np.ones_like, relative_width: Profile = np.ones_like
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return stain and mask of a flat-ended chromosome with profiles along 0..1."""
    t = np.arange(0.0, length, 0.1)
    points = curve(t)
    points += width + 2 - points.min(axis=0)
    columns, rows = (points.max(axis=0) + width + 2).astype(int)
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 1, 2)
    distance = np.hypot(*np.moveaxis(grid - points[None, ::5], -1, 0))
    nearest = distance.argmin(axis=1)
    at_tip = np.isin(nearest, [0, distance.shape[1] - 1])
    share = t[::5][nearest] / length
    mask = (distance.min(axis=1) <= width / 2 * relative_width(share)) & ~(at_tip & (distance.min(axis=1) > 0.3))
    stain = np.where(mask, bands(share), 0.0)
    return stain.reshape(rows, columns).astype(np.float32), mask.reshape(rows, columns)


def gradient(share: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.2 + 0.8 * share


def constricted_at(place: float) -> Profile:
    return lambda share: 1 - 0.5 * np.exp(-(((share - place) / 0.06) ** 2))


@pytest.mark.parametrize(
    ("curve", "length", "width"),
    [
        (straight(0.0), 25, 10),
        (straight(0.7), 60, 12),
        (straight(1.5), 300, 20),
        (arc(40), 90, 12),
        (arc(25), 70, 10),
        (arc(14), 44, 10),
        (s_shape(120), 120, 12),
        (s_shape(280), 280, 24),
    ],
)
def test_length_width_and_band_order_hold_for_any_axis(curve: AxisCurve, length: float, width: float) -> None:
    stain, mask = draw(curve, length, width, bands=gradient)
    measured = measure(stain, mask)
    assert measured.length == pytest.approx(length, abs=0.06 * length + 1)
    assert measured.width == pytest.approx(width, rel=0.15)
    rising = np.corrcoef(measured.profile, np.arange(64))[0, 1]
    assert abs(rising) > 0.97
    assert measured.inside.shape[0] == pytest.approx(measured.length, abs=2)


@pytest.mark.parametrize("shape", [(9, 9), (3, 3), (1, 1), (2, 30), (12, 14)])
def test_blobs_as_wide_as_long_have_an_axis(shape: tuple[int, int]) -> None:
    mask = np.ones(shape, dtype=np.bool_)
    measured = measure(mask.astype(np.float32), mask)
    assert 0 < measured.length <= 1.5 * max(shape)
    assert measured.profile.shape == (64,)
    assert np.isfinite(measured.profile).all()


@pytest.mark.parametrize("place", [0.2, 0.35, 0.5, 0.7])
@pytest.mark.parametrize("curve", [straight(0.0), straight(0.5), arc(60)])
def test_centromere_is_at_the_constriction(place: float, curve: AxisCurve) -> None:
    measured = measure(*draw(curve, 80, 14, relative_width=constricted_at(place)))
    assert measured.centromere_index == pytest.approx(min(place, 1 - place), abs=0.04)


def test_a_chromosome_without_constriction_has_no_centromere() -> None:
    assert measure(*draw(straight(0.0), 60, 14)).centromere is None


def test_rotation_reverses_and_a_second_rotation_restores() -> None:
    measured = measure(*draw(straight(0.0), 80, 14, bands=gradient, relative_width=constricted_at(0.3)))
    rotated = measured.rotated()
    assert measured.centromere == pytest.approx(0.3, abs=0.04)
    assert rotated.centromere == pytest.approx(0.7, abs=0.04)
    np.testing.assert_array_equal(rotated.profile, measured.profile[::-1])
    np.testing.assert_array_equal(rotated.rotated().inside, measured.inside)
    np.testing.assert_array_equal(rotated.stain[::-1, ::-1], measured.stain)


def test_the_straightened_stain_has_the_bands_and_is_0_outside() -> None:
    stain, mask = draw(arc(40), 90, 12, bands=lambda share: np.where(share < 0.5, 1.8, 0.54))
    measured = measure(stain, mask)
    halves = [float(np.median(half[half > 0])) for half in np.array_split(measured.stain, 2)]
    assert sorted(halves) == pytest.approx([0.54, 1.8], abs=0.1)
    assert not measured.inside[:, 0].any()
    assert not measured.stain[~measured.inside].any()


@pytest.mark.parametrize(("curve", "length"), [(arc(16), 70), (arc(20), 60), (s_shape(80), 80), (s_shape(100), 100)])
def test_the_axis_follows_the_middle_of_strong_bends(curve: AxisCurve, length: float) -> None:
    points = curve(np.arange(0.0, length, 0.1))
    points += 14 - points.min(axis=0)
    axis = measure(*draw(curve, length, 12)).axis
    distance = np.hypot(*np.moveaxis(axis[:, None] - points, -1, 0)).min(axis=1)
    assert distance.mean() < 0.5


def test_a_short_chromosome_has_a_straight_axis_unless_it_is_bent() -> None:
    banana, bar = (measure(*draw(curve, 26, 9)) for curve in (arc(7), straight(0.4)))
    assert banana.bend > 1.15
    assert banana.length == pytest.approx(26, abs=2.5)
    assert bar.bend == pytest.approx(1, abs=0.01)


def hairpin() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return two arms, 60 long and 10 wide, with a pale seam and a gradient along them."""
    y, x = np.mgrid[:60, :22]
    stain = np.where(x < 11, 0.9 + 0.01 * y, 0.9 - 0.007 * y).astype(np.float32)
    stain[10:, 10:12] = 0.3
    mask = np.ones((60, 22), np.bool_)
    return np.pad(stain, 4), np.pad(mask, 4)


def test_a_folded_chromosome_is_unfolded_among_chromosomes_of_known_width() -> None:
    folded = hairpin()
    assert measure(*folded).length < 70
    others = [draw(straight(angle), 60, 10) for angle in (0.1, 0.4, 0.9)]
    *straightened, unfolded = measure_cell([*others, folded])
    assert [one.length for one in straightened] == [measure(*other).length for other in others]
    assert unfolded.length == pytest.approx(115, abs=8)
    assert unfolded.width == pytest.approx(10, abs=1)
    assert abs(np.corrcoef(unfolded.profile, np.arange(64))[0, 1]) > 0.97


def separated_chromatids() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return two chromatids, 24 long and 6 wide, joined at the upper end and diverging."""
    y, x = np.mgrid[:24, -16:17]
    mask = np.abs(np.abs(x) - 0.45 * y) < 3
    return np.pad(mask.astype(np.float32), 4), np.pad(mask, 4)


def test_the_axis_does_not_follow_one_chromatid_among_chromosomes_of_known_width() -> None:
    alone = measure(*separated_chromatids())
    *_, among = measure_cell([draw(straight(angle), 60, 12) for angle in (0.1, 0.4, 0.9)] + [separated_chromatids()])
    assert alone.length > 40
    assert among.length == pytest.approx(24, abs=4)
    assert among.width > 1.4 * alone.width


def test_two_adjacent_chromosomes_are_not_unfolded() -> None:
    stain, mask = hairpin()
    stain[4:14, 14:16] = 0.3
    measured = measure(stain, mask, typical_width=10)
    assert (measured.length, measured.area) == (measure(stain, mask).length, mask.sum())


def test_neighbours_and_holes_are_ignored() -> None:
    _, mask = draw(straight(0.3), 60, 12)
    with_specks = mask.copy()
    with_specks[0, 0] = True
    rows, columns = np.nonzero(mask)
    with_specks[rows[len(rows) // 2], columns[len(rows) // 2]] = False
    np.testing.assert_array_equal(largest_part(with_specks), mask)
    np.testing.assert_allclose(medial_axis(largest_part(with_specks)), medial_axis(mask))


def test_the_axis_starts_at_the_upper_tip() -> None:
    _, mask = draw(straight(0.3), 60, 12)
    axis = medial_axis(mask)
    assert axis[0].imag < axis[-1].imag
    assert arc_length(axis)[-1] == pytest.approx(60, abs=3)


def test_an_empty_mask_and_differing_shapes_raise() -> None:
    empty = np.zeros((5, 5), dtype=np.bool_)
    with pytest.raises(ValueError, match="empty"):
        measure(empty.astype(np.float32), empty)
    with pytest.raises(ValueError, match="differ in shape"):
        measure(np.zeros((4, 5), dtype=np.float32), empty)
