"""Letters, scale bars and label boxes are found by their edges; chromosomes never are."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from karyotyping.arrays import Grey
from karyotyping.image.annotations import find_annotations
from karyotyping.image.normalise import normalise
from training.simulation import simulate

Pixels8 = NDArray[np.uint8]
INKS = {"bright_field": 0, "fluorescence": 255}


@pytest.fixture(scope="module", params=INKS)
def cell(request: pytest.FixtureRequest) -> tuple[Pixels8, int]:
    """A simulated metaphase, and the ink that an export would use on it."""
    metaphase = simulate("46,XX", seed=7, contrast=request.param)
    return np.asarray(metaphase.pixels, np.uint8), INKS[request.param]


def text(pixels: Pixels8, ink: int, words: str, size: float, thickness: int) -> Pixels8:
    changed, place = pixels.copy(), (12, len(pixels) - 14)
    cv2.putText(changed, words, place, cv2.FONT_HERSHEY_DUPLEX, size, float(ink), thickness, cv2.LINE_AA)
    return changed


def bar(pixels: Pixels8, ink: int) -> Pixels8:
    changed, (height, width) = pixels.copy(), pixels.shape
    changed[height - 16 : height - 11, width - 130 : width - 20] = ink
    return changed


def label_box(pixels: Pixels8, ink: int) -> Pixels8:
    changed = pixels.copy()
    changed[4:28, 6:190] = ink
    cv2.putText(changed, "LAB 12-345", (12, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, float(255 - ink), 1, cv2.LINE_AA)
    return changed


def share_found(before: Pixels8, after: Pixels8) -> float:
    """Share of the changed pixels that are found as annotations."""
    found = find_annotations(grey(after))
    return float(found[before != after].mean())


def grey(pixels: Pixels8) -> Grey:
    return np.asarray(pixels / np.float32(255), np.float32)


@pytest.mark.parametrize(("words", "size", "thickness"), [("CASE 17/2", 0.7, 1), ("10 um", 0.9, 2), ("x100", 1.2, 3)])
def test_letters_are_found(cell: tuple[Pixels8, int], words: str, size: float, thickness: int) -> None:
    pixels, ink = cell
    assert share_found(pixels, text(pixels, ink, words, size, thickness)) > 0.9


def printed(
    pixels: Pixels8, ink: int, words: str, place: tuple[int, int], *, font: int | None = None, height: int = 16
) -> Pixels8:
    """Write a line of text of ``height`` px; without a font in that of Pillow.

    Args:
        pixels: image.
        ink: grey level.
        words: text.
        place: x, y of the lower left corner.
        font: of OpenCV.
        height: of the text, px.
    """
    if font is None:
        page = Image.fromarray(pixels)
        ImageDraw.Draw(page).text(place, words, fill=ink, font=ImageFont.load_default(height), anchor="ls")
        return np.array(page)
    changed, size = pixels.copy(), cv2.getFontScaleFromHeight(font, height, 1)
    cv2.putText(changed, words, place, font, size, float(ink), 1 + height // 20, cv2.LINE_AA)
    return changed


FONTS = [
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_SIMPLEX | cv2.FONT_ITALIC,
    None,
]
"""Fonts of OpenCV, and None for that of Pillow."""


@pytest.mark.parametrize(
    ("words", "height", "place"), [("CASE 0001", 14, (6, 20)), ("46,XY", 20, (0, 358)), ("1 um", 30, (390, 40))]
)
@pytest.mark.parametrize("quality", [100, 70])
def test_fonts_are_found(
    cell: tuple[Pixels8, int], words: str, height: int, place: tuple[int, int], quality: int
) -> None:
    pixels, ink = np.ascontiguousarray(cell[0][:360, :480]), cell[1]
    shares = {}
    for font in FONTS:
        changed = printed(pixels, ink, words, place, font=font, height=height)
        found = find_annotations(grey(jpeg(changed, quality)))
        shares[font] = float(found[pixels != changed].mean())
    assert min(shares.values()) > 0.8, shares


def jpeg(pixels: Pixels8, quality: int) -> Pixels8:
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def test_letters_on_a_dim_image_are_found(cell: tuple[Pixels8, int]) -> None:
    pixels, ink = cell
    dim = np.asarray(np.rint(255 - ink + 0.2 * (pixels - (255.0 - ink))), np.uint8)
    assert share_found(dim, printed(dim, ink, "CASE 17", (6, 22))) > 0.9


@pytest.mark.parametrize("width", [1, 2])
def test_a_frame_leaves_the_stain(cell: tuple[Pixels8, int], width: int) -> None:
    pixels, ink = cell
    framed, (height, length) = pixels.copy(), pixels.shape
    cv2.rectangle(framed, (4, 4), (length - 5, height - 5), float(ink), width)
    plain, marked = normalise(pixels), normalise(framed)
    assert find_annotations(grey(framed))[pixels != framed].mean() > 0.9
    assert marked.scale == pytest.approx(plain.scale, rel=0.05)
    assert np.abs(marked.stain - plain.stain)[10:-10, 10:-10].max() < 0.1


@pytest.mark.parametrize("draw", [bar, label_box])
def test_bars_and_boxes_are_found(cell: tuple[Pixels8, int], draw: Callable[[Pixels8, int], Pixels8]) -> None:
    pixels, ink = cell
    assert share_found(pixels, draw(pixels, ink)) > 0.9


def test_letters_are_found_in_a_jpeg(cell: tuple[Pixels8, int]) -> None:
    pixels, ink = cell
    changed = text(pixels, ink, "CASE 17/2", 0.8, 2)
    found = find_annotations(grey(jpeg(changed, 75)))
    assert found[pixels != changed].mean() > 0.9


@pytest.mark.parametrize("factor", [0.3, 0.5, 1.0, 2.0])
def test_chromosomes_are_no_annotations(cell: tuple[Pixels8, int], factor: float) -> None:
    pixels, _ = cell
    resampled = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    assert not find_annotations(grey(np.asarray(resampled, np.uint8))).any()


def test_a_flat_image_has_none() -> None:
    flat = np.full((40, 50), 0.5, np.float32)
    assert not find_annotations(flat).any()


def test_the_stain_is_without_them(cell: tuple[Pixels8, int]) -> None:
    pixels, ink = cell
    plain, marked = normalise(pixels), normalise(label_box(bar(text(pixels, ink, "10 um", 0.9, 2), ink), ink))
    assert marked.annotations.any()
    assert marked.polarity == plain.polarity
    assert marked.scale == pytest.approx(plain.scale, rel=0.02)
    assert np.abs(marked.stain - plain.stain)[marked.annotations].mean() < 0.02
    assert np.abs(marked.stain - plain.stain)[~marked.annotations].max() < 0.1


def test_a_chromosome_below_a_line_stays_whole(cell: tuple[Pixels8, int]) -> None:
    pixels, ink = cell
    plain = normalise(pixels)
    ruled = pixels.copy()
    ruled[280:282] = ink
    marked = normalise(ruled)
    below = plain.stain[280:282] > 0.5
    assert below.sum() > 20
    assert marked.annotations[280:282].mean() > 0.9
    assert (marked.stain[280:282][below] > 0.3).mean() > 0.6


@pytest.mark.parametrize("factor", [2, 3])
def test_enlarged_pixels_are_no_annotations(cell: tuple[Pixels8, int], factor: int) -> None:
    pixels, _ = cell
    blocks = np.kron(pixels, np.ones((factor, factor), np.uint8))
    assert not find_annotations(grey(np.asarray(blocks, np.uint8))).any()


def test_a_screen_of_dots_is_no_text() -> None:
    screen = np.zeros((400, 500), np.float32)
    for y in range(5, 390, 10):
        for x in range(5, 490, 10):
            screen[y : y + 4, x : x + 4] = 1.0
    assert not find_annotations(screen).any()
