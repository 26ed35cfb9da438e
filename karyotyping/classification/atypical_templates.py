"""Description of a straightened chromosome, and what structural changes do to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from karyotyping.arrays import Floats, Floats32
from karyotyping.nomenclature.ideogram import bands

Kind = Literal["deletion", "duplication", "inversion", "addition"]
KINDS: tuple[Kind, ...] = ("deletion", "duplication", "inversion", "addition")

_STAINS, _WIDTHS = 64, 24  # values along the axis
DIMENSIONS = _STAINS + _WIDTHS + 1
"""Values that describe a chromosome: stain, width, log length."""
MIN_ROWS = 8  # px on the canvas of a chromosome that is described

_LENGTH_UNIT = 0.1  # of the log length, so that its deviation is near that of the others
_TYPICAL_WIDTH = 4.0  # values of the median width
_BODY = 0.04  # stain above which a pixel belongs to the chromosome
_MIDDLE = 0.6  # share of the width whose stain is averaged
_END_SHARE = 20  # one part of so many at each end has no part in mean and contrast
_MIN_CONTRAST = 0.05  # added to the standard deviation of the stain
_SIZES = (0.05, 0.08, 0.12, 0.18, 0.27, 0.4)  # of a change, shares of the length
_MIN_INVERSION = 4  # rows
_MARGIN = 0.02  # share of the length around variable bands
_MAX_VARIABLE = 0.5  # share of a change in variable bands; above it healthy persons have the change


@dataclass(frozen=True, slots=True)
class Change:
    """A structural change of the mean chromosome of a class."""

    kind: Kind
    start: float
    """Where it begins, share of the length from the p telomere, 0..1."""
    stop: float
    difference: Floats
    """(V,) what it adds to the description."""
    variable: bool
    """Whether it is mostly within heterochromatin that varies between healthy persons."""


def describe(canvas: Floats32) -> Floats | None:
    """Return the values (V,) that describe a chromosome; None if it is too short.

    Args:
        canvas: (h, w) stain of the straightened chromosome at the scale of its cell, p arm up, 0 outside.
    """
    stain, width = read_rows(canvas)
    return None if len(stain) < MIN_ROWS else describe_rows(stain, width)


def read_rows(canvas: Floats32) -> tuple[Floats, Floats]:
    """Return the stain (L,) and the width (L,) along the chromosome on a canvas (h, w)."""
    body = canvas > _BODY
    rows = np.flatnonzero(body.any(axis=1))
    extent = slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)
    canvas, body = canvas[extent], body[extent]
    offsets = np.arange(canvas.shape[1])
    width = body.sum(axis=1).astype(np.float64)
    centre = (body * offsets).sum(axis=1) / np.maximum(width, 1)
    middle = body & (np.abs(offsets - centre[:, None]) <= np.maximum(_MIDDLE * width / 2, 1)[:, None])
    return (canvas * middle).sum(axis=1, dtype=np.float64) / np.maximum(middle.sum(axis=1), 1), width


def describe_rows(stain: Floats, width: Floats) -> Floats:
    """Return the values (V,) that describe a chromosome of stain (L,) and width (L,)."""
    end = max(2, len(stain) // _END_SHARE)
    inner = stain[end:-end]
    standard = (stain - inner.mean()) / (inner.std() + _MIN_CONTRAST)
    relative = width / max(float(np.median(width)), 1.0) * _TYPICAL_WIDTH
    length = np.log(len(stain)) / _LENGTH_UNIT
    return np.concatenate([_resample(standard, _STAINS), _resample(relative, _WIDTHS), [length]])


def turned(values: Floats) -> Floats:
    """Return the description (V,) of a chromosome that is turned by 180 degrees."""
    return np.concatenate([values[_STAINS - 1 :: -1], values[-2 : _STAINS - 1 : -1], values[-1:]])


def _resample(values: Floats, samples: int) -> Floats:
    """Return the means (``samples``,) of ``values`` (L,) over equal parts of the length."""
    integral = np.concatenate([[0.0], np.cumsum(values)])
    edges = np.linspace(0, len(values), samples + 1)
    means: Floats = np.diff(np.interp(edges, np.arange(len(values) + 1), integral)) * (samples / len(values))
    return means


def mean_rows(mean: Floats) -> tuple[Floats, Floats]:
    """Return stain (L,) and width (L,) of the chromosome that ``mean`` (V,) describes."""
    count = max(MIN_ROWS, round(float(np.exp(mean[-1] * _LENGTH_UNIT))))
    places = (np.arange(count) + 0.5) / count
    parts = (mean[:_STAINS], mean[_STAINS:-1])
    stain, width = (np.interp(places, (np.arange(len(part)) + 0.5) / len(part), part) for part in parts)
    return stain, width


def change_templates(class_id: int, mean: Floats) -> tuple[Change, ...]:
    """Return the structural changes of the mean chromosome of a class.

    Args:
        class_id: 1..24.
        mean: (V,) description of its mean chromosome.
    """
    stain, width = mean_rows(mean)
    base, count = describe_rows(stain, width), len(stain)
    variable = np.array([is_variable(class_id, (row + 0.5) / count) for row in range(count)])
    return tuple(
        Change(
            kind,
            start / count,
            stop / count,
            describe_rows(np.concatenate(stains), np.concatenate(widths)) - base,
            variable=bool(variable[start:stop].mean() > _MAX_VARIABLE),
        )
        for kind, start, stop, stains, widths in _changed_rows(stain, width)
    )


_Rows = list[Floats]


def _changed_rows(stain: Floats, width: Floats) -> Iterator[tuple[Kind, int, int, _Rows, _Rows]]:
    """Yield every change: kind, first and last row, parts of stain and width."""
    count = len(stain)
    for size in sorted({max(2, round(share * count)) for share in _SIZES}):
        for start in sorted({*range(0, count - size, max(1, size // 2)), count - size}):
            stop = start + size
            before, part, after = slice(0, start), slice(start, stop), slice(stop, None)
            both = (stain, width)
            yield "deletion", start, stop, *([v[before], v[after]] for v in both)
            yield "duplication", start, stop, *([v[:stop], v[start:]] for v in both)
            if size >= _MIN_INVERSION:
                yield "inversion", start, stop, *([v[before], v[part][::-1], v[after]] for v in both)
        # Unknown material has the mean stain and the typical width.
        unknown = np.zeros(size), np.full(size, _TYPICAL_WIDTH)
        yield "addition", 0, 1, [unknown[0], stain], [unknown[1], width]
        yield "addition", count - 1, count, [stain, unknown[0]], [width, unknown[1]]


def variable_weights(class_id: int) -> Floats:
    """Return the weight (V,) of each value, 0 where healthy persons differ, 1 elsewhere."""
    along = [
        [float(not is_variable(class_id, (k + 0.5) / samples)) for k in range(samples)]
        for samples in (_STAINS, _WIDTHS)
    ]
    return np.array([*along[0], *along[1], 1.0])


def is_variable(class_id: int, place: float) -> bool:
    """Return whether ``place``, 0..1, is in heterochromatin that varies between healthy persons."""
    return any(
        one.start - _MARGIN <= place <= one.stop + _MARGIN
        for one in bands(class_id, 400)
        if one.stain in ("gvar", "stalk")
    )
