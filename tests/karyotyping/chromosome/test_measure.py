"""Drawn chromosomes of known length, course, bands and centromere measure as they were drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.chromosome.measure import measure, measure_cell
from karyotyping.chromosome.medial_axis import arc_length, largest_part, medial_axis

Course = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Along = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def straight(angle: float) -> Course:
    return lambda t: np.stack([t * np.sin(angle), t * np.cos(angle)], axis=1)


def arc(radius: float) -> Course:
    return lambda t: np.stack([radius * np.cos(t / radius), radius * np.sin(t / radius)], axis=1)


def s_shape(length: float) -> Course:
    def course(t: NDArray[np.float64]) -> NDArray[np.float64]:
        heading = 0.9 * np.sin(2 * np.pi * t / length)
        return np.stack([np.cumsum(np.sin(heading)), np.cumsum(np.cos(heading))], axis=1) * (t[1] - t[0])

    return course


def draw(
    course: Course, length: float, width: float, bands: Along = np.ones_like, waist: Along = np.ones_like
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Stain and mask of a flat-ended chromosome; ``bands`` and ``waist`` are functions of 0..1 along it."""
    t = np.arange(0.0, length, 0.1)
    points = course(t)
    points += width + 2 - points.min(axis=0)
    columns, rows = (points.max(axis=0) + width + 2).astype(int)
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 1, 2)
    distance = np.hypot(*np.moveaxis(grid - points[None, ::5], -1, 0))
    nearest = distance.argmin(axis=1)
    at_tip = np.isin(nearest, [0, distance.shape[1] - 1])
    share = t[::5][nearest] / length
    mask = (distance.min(axis=1) <= width / 2 * waist(share)) & ~(at_tip & (distance.min(axis=1) > 0.3))
    stain = np.where(mask, bands(share), 0.0)
    return stain.reshape(rows, columns).astype(np.float32), mask.reshape(rows, columns)


def gradient(share: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.2 + 0.8 * share


def pinched_at(place: float) -> Along:
    return lambda share: 1 - 0.5 * np.exp(-(((share - place) / 0.06) ** 2))


@pytest.mark.parametrize(
    ("course", "length", "width"),
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
def test_length_width_and_order_survive_any_course(course: Course, length: float, width: float) -> None:
    stain, mask = draw(course, length, width, bands=gradient)
    measured = measure(stain, mask)
    assert measured.length == pytest.approx(length, abs=0.06 * length + 1)
    assert measured.width == pytest.approx(width, rel=0.15)
    rising = np.corrcoef(measured.profile, np.arange(64))[0, 1]
    assert abs(rising) > 0.97
    assert measured.straightened.shape[0] == pytest.approx(measured.length, abs=2)


@pytest.mark.parametrize("shape", [(9, 9), (3, 3), (1, 1), (2, 30), (12, 14)])
def test_blobs_as_short_as_wide_have_an_axis(shape: tuple[int, int]) -> None:
    mask = np.ones(shape, dtype=np.bool_)
    measured = measure(mask.astype(np.float32), mask)
    assert 0 < measured.length <= 1.5 * max(shape)
    assert measured.profile.shape == (64,)
    assert np.isfinite(measured.profile).all()


@pytest.mark.parametrize("place", [0.2, 0.35, 0.5, 0.7])
@pytest.mark.parametrize("course", [straight(0.0), straight(0.5), arc(60)])
def test_centromere_is_found_where_the_chromosome_is_pinched(place: float, course: Course) -> None:
    measured = measure(*draw(course, 80, 14, waist=pinched_at(place)))
    assert measured.centromere_index == pytest.approx(min(place, 1 - place), abs=0.04)


def test_an_unpinched_chromosome_has_no_centromere() -> None:
    assert measure(*draw(straight(0.0), 60, 14)).centromere is None


def test_turning_twice_changes_nothing_and_once_reverses() -> None:
    measured = measure(*draw(straight(0.0), 80, 14, bands=gradient, waist=pinched_at(0.3)))
    turned = measured.turned()
    assert measured.centromere == pytest.approx(0.3, abs=0.04)
    assert turned.centromere == pytest.approx(0.7, abs=0.04)
    np.testing.assert_array_equal(turned.profile, measured.profile[::-1])
    np.testing.assert_array_equal(turned.turned().straightened, measured.straightened)
    np.testing.assert_array_equal(turned.stain[::-1, ::-1], measured.stain)


def test_straightened_is_dark_on_white_and_shows_the_bands() -> None:
    stain, mask = draw(arc(40), 90, 12, bands=lambda share: np.where(share < 0.5, 1.8, 0.54))
    straightened = measure(stain, mask).straightened
    halves = [float(np.median(half[half < 255])) for half in np.array_split(straightened, 2)]
    assert sorted(halves) == pytest.approx([0, 255 * 0.7], abs=12)
    assert straightened[:, 0].min() == 255


@pytest.mark.parametrize(("course", "length"), [(arc(16), 70), (arc(20), 60), (s_shape(80), 80), (s_shape(100), 100)])
def test_strong_bends_are_followed_along_their_middle(course: Course, length: float) -> None:
    points = course(np.arange(0.0, length, 0.1))
    points += 14 - points.min(axis=0)
    axis = measure(*draw(course, length, 12)).axis
    distance = np.hypot(*np.moveaxis(axis[:, None] - points, -1, 0)).min(axis=1)
    assert distance.mean() < 0.5


def test_a_short_one_is_stood_straight_only_if_it_is_not_bent() -> None:
    banana, bar = (measure(*draw(course, 26, 9)) for course in (arc(7), straight(0.4)))
    assert banana.bend > 1.15
    assert banana.length == pytest.approx(26, abs=2.5)
    assert bar.bend == pytest.approx(1, abs=0.01)


def hairpin() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Two arms 60 long and 10 wide, a pale seam between them; the stain falls all along, from tip to tip."""
    y, x = np.mgrid[:60, :22]
    stain = np.where(x < 11, 0.9 + 0.01 * y, 0.9 - 0.007 * y).astype(np.float32)
    stain[10:, 10:12] = 0.3
    mask = np.ones((60, 22), np.bool_)
    return np.pad(stain, 4), np.pad(mask, 4)


def test_folded_arms_are_told_apart_by_their_seam_if_the_width_of_others_is_known() -> None:
    folded = hairpin()
    assert measure(*folded).length < 70
    others = [draw(straight(angle), 60, 10) for angle in (0.1, 0.4, 0.9)]
    *straightened, unfolded = measure_cell([*others, folded])
    assert [one.length for one in straightened] == [measure(*other).length for other in others]
    assert unfolded.length == pytest.approx(115, abs=8)
    assert unfolded.width == pytest.approx(10, abs=1)
    assert abs(np.corrcoef(unfolded.profile, np.arange(64))[0, 1]) > 0.97


def parted() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Two chromatids, 24 long and 6 wide, that meet at the upper end and stand far apart at the lower."""
    y, x = np.mgrid[:24, -16:17]
    mask = np.abs(np.abs(x) - 0.45 * y) < 3
    return np.pad(mask.astype(np.float32), 4), np.pad(mask, 4)


def test_a_skeleton_does_not_follow_one_chromatid_if_the_width_of_others_is_known() -> None:
    alone = measure(*parted())
    *_, among = measure_cell([draw(straight(angle), 60, 12) for angle in (0.1, 0.4, 0.9)] + [parted()])
    assert alone.length > 40
    assert among.length == pytest.approx(24, abs=4)
    assert among.width > 1.4 * alone.width


def test_two_chromosomes_side_by_side_are_not_one_folded() -> None:
    stain, mask = hairpin()
    stain[4:14, 14:16] = 0.3
    together = measure(stain, mask, usual_width=10)
    assert (together.length, together.area) == (measure(stain, mask).length, mask.sum())


def test_neighbours_and_holes_do_not_matter() -> None:
    _, mask = draw(straight(0.3), 60, 12)
    with_specks = mask.copy()
    with_specks[0, 0] = True
    rows, columns = np.nonzero(mask)
    with_specks[rows[len(rows) // 2], columns[len(rows) // 2]] = False
    np.testing.assert_array_equal(largest_part(with_specks), mask)
    np.testing.assert_allclose(medial_axis(largest_part(with_specks)), medial_axis(mask))


def test_axis_starts_at_the_upper_tip() -> None:
    _, mask = draw(straight(0.3), 60, 12)
    axis = medial_axis(mask)
    assert axis[0].imag < axis[-1].imag
    assert arc_length(axis)[-1] == pytest.approx(60, abs=3)


def test_refuses_what_is_no_chromosome() -> None:
    empty = np.zeros((5, 5), dtype=np.bool_)
    with pytest.raises(ValueError, match="empty"):
        measure(empty.astype(np.float32), empty)
    with pytest.raises(ValueError, match="differ in shape"):
        measure(np.zeros((4, 5), dtype=np.float32), empty)
