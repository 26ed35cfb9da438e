"""A white page to draw on, and diagrams with axes. Drawn at twice their size and halved, which makes lines smooth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
Point = tuple[float, float]

PAPER: Color = (255, 255, 255)
INK: Color = (32, 36, 44)
PALE: Color = (125, 130, 140)
RULE: Color = (224, 226, 231)
RIGHT: Color = (38, 98, 166)
WRONG: Color = (190, 30, 45)
SERIES = (RIGHT, (214, 122, 24), (38, 130, 90), (140, 90, 170))
_SIDE = 760
"""Pixels of a diagram's side."""
_ROOM = (90, 80, 40, 80)
"""Pixels left, above, right and below of the axes."""


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


SHARES: dict[float, str] = {share: f"{share:.1f}" for share in np.linspace(0, 1, 11).tolist()}
"""Ticks of an axis of shares."""


class Axes:
    """A square diagram with a title. Ticks are values and their words, and an axis goes from the first to the last;
    ``rise`` takes y to 0..1 where it is not linear."""

    def __init__(
        self,
        title: str,
        x: str,
        y: str,
        *,
        x_ticks: Mapping[float, str] = SHARES,
        y_ticks: Mapping[float, str] = SHARES,
        rise: Callable[[float], float] | None = None,
    ) -> None:
        left, above, right, below = _ROOM
        self.page = Page(_SIDE + left + right, _SIDE + above + below)
        self._run = _linear(x_ticks)
        self._rise = rise or _linear(y_ticks)
        for value, words in x_ticks.items():
            self.page.line([self.at(value, min(y_ticks)), self.at(value, max(y_ticks))])
            place = self.at(value, min(y_ticks))
            self.page.text((place[0], place[1] + 16), words, ink=PALE)
        for value, words in y_ticks.items():
            self.page.line([self.at(min(x_ticks), value), self.at(max(x_ticks), value)])
            place = self.at(min(x_ticks), value)
            self.page.text((place[0] - 10, place[1]), words, ink=PALE, anchor="rm")
        self.page.text((left, above / 2), title, size=22, anchor="lm")
        self.page.text((left + _SIDE / 2, above + _SIDE + 50), x, size=15)
        self.page.upwards((26, above + _SIDE / 2), y)

    def at(self, x: float, y: float) -> Point:
        """Where a point lies on the page."""
        return _ROOM[0] + _SIDE * self._run(x), _ROOM[1] + _SIDE * (1 - self._rise(y))

    def beside(self, x: float, y: float) -> Point:
        """Where shares of the diagram's width and height lie on the page, from the lower left."""
        return _ROOM[0] + _SIDE * x, _ROOM[1] + _SIDE * (1 - y)


def _linear(ticks: Mapping[float, str]) -> Callable[[float], float]:
    low, high = min(ticks), max(ticks)
    return lambda value: (value - low) / (high - low)
