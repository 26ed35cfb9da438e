"""Pictures of how good classes are: confusion matrix, reliability diagram, risk-coverage curve.

Drawn at twice their size and halved, which makes lines smooth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training.evaluation.answers import LABELS, MISSING, Ints
from training.evaluation.confidence import ERROR_TARGETS, RiskCoverage

Color = tuple[int, int, int]
Point = tuple[float, float]

PAPER: Color = (255, 255, 255)
INK: Color = (32, 36, 44)
PALE: Color = (125, 130, 140)
RULE: Color = (224, 226, 231)
RIGHT: Color = (38, 98, 166)
WRONG: Color = (190, 30, 45)
_SERIES = (RIGHT, (214, 122, 24))
_SIDE = 760
"""Pixels of a diagram's side."""
_ROOM = (90, 80, 40, 80)
"""Pixels left, above, right and below of the axes."""
_LEAST_ERROR = 1e-4
_LEAST_MARKED = 0.05


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The one font there is."""
    return ImageFont.load_default(size)


class Page:
    """A white page; coordinates and sizes are in pixels of the finished picture."""

    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("RGB", (2 * width, 2 * height), PAPER)
        self._pen = ImageDraw.Draw(self._image)

    def text(self, at: Point, words: str, size: int = 14, ink: Color = INK, anchor: str = "mm") -> None:
        """Write; ``anchor`` as Pillow has it."""
        self._pen.text((2 * at[0], 2 * at[1]), words, font=font(2 * size), fill=ink, anchor=anchor)

    def upwards(self, at: Point, words: str, size: int = 15) -> None:
        """Write from below to above, the middle at ``at``."""
        width, height = 2 * size * len(words), 3 * size
        strip = Image.new("RGB", (width, height), PAPER)
        ImageDraw.Draw(strip).text((width / 2, height / 2), words, font=font(2 * size), fill=INK, anchor="mm")
        turned = strip.rotate(90, expand=True)
        self._image.paste(turned, (round(2 * at[0]) - turned.width // 2, round(2 * at[1]) - turned.height // 2))

    def line(self, points: Sequence[Point], ink: Color = RULE, width: float = 1.0) -> None:
        """Draw a line through ``points``."""
        self._pen.line([(2 * x, 2 * y) for x, y in points], fill=ink, width=round(2 * width), joint="curve")

    def box(self, left: float, top: float, right: float, bottom: float, fill: Color) -> None:
        """Fill a rectangle; right and bottom belong to what comes next."""
        if right > left and bottom > top:
            self._pen.rectangle((2 * left, 2 * top, 2 * right - 1, 2 * bottom - 1), fill=fill)

    def dot(self, at: Point, radius: float, fill: Color) -> None:
        """Fill a circle."""
        self._pen.circle((2 * at[0], 2 * at[1]), 2 * radius, fill=fill, outline=PAPER, width=3)

    def paste(self, picture: Image.Image, left: float, top: float) -> None:
        """Set a picture that is twice as large as it is to appear."""
        self._image.paste(picture, (round(2 * left), round(2 * top)))

    def pixels(self) -> NDArray[np.uint8]:
        """The finished picture, (H, W, 3) RGB."""
        return np.array(self._image.reduce(2))


class _Axes:
    """A square diagram with a title; x runs 0..1, and ``rise`` takes y to 0..1."""

    def __init__(self, title: str, x: str, y: str, ticks: Mapping[float, str], rise: Callable[[float], float]) -> None:
        left, above, right, below = _ROOM
        self.page = Page(_SIDE + left + right, _SIDE + above + below)
        self._rise = rise
        for share in np.linspace(0, 1, 11).tolist():
            self.page.line([self.at(share, min(ticks)), self.at(share, max(ticks))])
            place = self.at(share, min(ticks))
            self.page.text((place[0], place[1] + 16), f"{share:.1f}", ink=PALE)
        for value, words in ticks.items():
            self.page.line([self.at(0, value), self.at(1, value)])
            place = self.at(0, value)
            self.page.text((place[0] - 10, place[1]), words, ink=PALE, anchor="rm")
        self.page.text((left, above / 2), title, size=22, anchor="lm")
        self.page.text((left + _SIDE / 2, above + _SIDE + 50), x, size=15)
        self.page.upwards((26, above + _SIDE / 2), y)

    def at(self, x: float, y: float) -> Point:
        """Where a point lies on the page."""
        return _ROOM[0] + _SIDE * x, _ROOM[1] + _SIDE * (1 - self._rise(y))


def confusion(true: Ints, said: Ints) -> NDArray[np.uint8]:
    """The confusion matrix of (N,) indices into ``LABELS``, (H, W, 3) RGB: rows are true classes, and a mistake is the
    redder the larger its share of the row."""
    shown = [k for k in range(len(LABELS)) if k < len(LABELS) - 1 or (true == k).any() or (said == k).any()]
    counts = np.zeros((len(LABELS), len(LABELS)), np.int64)
    np.add.at(counts, (true[said != MISSING], said[said != MISSING]), 1)
    wanted = np.bincount(true, minlength=len(LABELS))
    step, left, top = 38, 90, 120
    page = Page(left + step * len(shown) + 110, top + step * len(shown) + 40)
    page.text((left, 36), "Confusion", size=22, anchor="lm")
    page.text(
        (left, 66), "true class down, predicted class across; counts, and recall at the right", ink=PALE, anchor="lm"
    )
    for place, k in enumerate(shown):
        middle = (place + 0.5) * step
        page.text((left + middle, top - 16), LABELS[k])
        page.text((left - 14, top + middle), LABELS[k], anchor="rm")
        if wanted[k]:
            page.text((left + len(shown) * step + 12, top + middle), f"{counts[k, k] / wanted[k]:.2%}", anchor="lm")
    for row, k in enumerate(shown):
        for column, other in enumerate(shown):
            count, x, y = int(counts[k, other]), left + column * step, top + row * step
            share = count / wanted[k] if wanted[k] else 0.0
            depth = share if k == other else min(1.0, 2.5 * math.sqrt(share))  # one in six is as red as it gets
            page.box(x, y, x + step - 1, y + step - 1, _tint(RIGHT if k == other else WRONG, depth))
            if count:
                page.text((x + step / 2, y + step / 2), str(count), size=12, ink=PAPER if depth > 0.5 else INK)
    return page.pixels()


def _tint(color: Color, depth: float) -> Color:
    base = (246, 247, 249)
    red, green, blue = (round(b + (c - b) * depth) for b, c in zip(base, color, strict=True))
    return red, green, blue


def reliability_diagram(bins: Mapping[str, Sequence[Mapping[str, float]]]) -> NDArray[np.uint8]:
    """Accuracy by score, of the rows that ``confidence.reliability`` gives for each series, (H, W, 3) RGB. A dot's area
    grows with the logarithm of how many answers it stands for."""
    ticks = {share: f"{share:.1f}" for share in np.linspace(0, 1, 11).tolist()}
    axes = _Axes("Reliability", "score", "share that is right", ticks, lambda y: y)
    axes.page.line([axes.at(0, 0), axes.at(1, 1)], PALE)
    for number, (ink, (name, rows)) in enumerate(zip(_SERIES, bins.items(), strict=False)):
        places = [axes.at(row["score"], row["accuracy"]) for row in rows]
        axes.page.line(places, ink, 2)
        for place, row in zip(places, rows, strict=True):
            axes.page.dot(place, 3 + 2.2 * math.sqrt(math.log10(row["count"])), ink)
        total = int(sum(row["count"] for row in rows))
        gap = sum(row["count"] * abs(row["score"] - row["accuracy"]) for row in rows) / total
        words = f"{name}: calibration error {gap:.2%} of {total} answers"
        axes.page.text(axes.at(0.03, 0.96 - 0.04 * number), words, size=16, ink=ink, anchor="lm")
    return axes.page.pixels()


def risk_coverage(curves: Mapping[str, RiskCoverage]) -> NDArray[np.uint8]:
    """Share of errors among the surest answers, on a logarithmic scale, (H, W, 3) RGB; below 1 in 10,000 lies on the
    floor."""
    ticks = {10.0**k: f"{10.0**k:.4g}".rstrip("0") if k < 0 else "1" for k in range(-4, 1)}
    axes = _Axes(
        "Risk and coverage",
        "share of chromosomes accepted, the surest first",
        "share of errors among them",
        ticks,
        lambda error: 1 + math.log10(max(error, _LEAST_ERROR)) / 4,
    )
    for target in ERROR_TARGETS:
        axes.page.line([axes.at(0, target), axes.at(1, target)], PALE)
        axes.page.text((axes.at(0.01, target)[0], axes.at(0, target)[1] - 10), f"{target:.1%}", ink=PALE, anchor="lm")
    for number, (ink, (name, curve)) in enumerate(zip(_SERIES, curves.items(), strict=False)):
        shares, errors = [*curve.coverage.tolist(), 1.0], [*curve.error.tolist(), curve.errors_total / curve.total]
        axes.page.line([axes.at(x, y) for x, y in zip(shares, errors, strict=True)], ink, 2)
        axes.page.text(axes.at(0.03, 10 ** (-0.16 - 0.16 * number)), name, size=16, ink=ink, anchor="lm")
        for target in ERROR_TARGETS:
            point = curve.within(target)
            if point["coverage"] > _LEAST_MARKED:
                place = axes.at(point["coverage"], target)
                if point["accepted"] < curve.accepted[-1]:  # the curve crosses here
                    axes.page.dot(place, 5, ink)
                right = number > 0 and point["coverage"] < 0.9  # below a curve that still rises slowly
                beside = (place[0] + (10 if right else -10), place[1] + (14 if number else -12))
                axes.page.text(beside, f"{point['coverage']:.1%}", ink=ink, anchor="lm" if right else "rm")
    return axes.page.pixels()
