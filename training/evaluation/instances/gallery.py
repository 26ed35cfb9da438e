"""The cells that leave most to an operator, with outlines of what was found, is false and was missed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as rle

from training.evaluation.instances.edit_count import Overlaps, corrections, pairs
from training.evaluation.instances.mask_overlap import Code, Outlines, outlines, overlaps
from training.evaluation.instances.matching import Comparison
from training.evaluation.page import INK, Color, Page

FOUND: Color = (40, 150, 255)
FALSE: Color = (255, 165, 0)
MISSED: Color = (240, 30, 60)
EXCUSED: Color = (150, 150, 150)
_LARGEST_SIDE = 1400
"""Photographs are enlarged by a whole factor as long as they stay below."""
_CAPTION = 84
_COLUMN = 140

Group = tuple[str, Color, list[Code]]


def worst_cases(
    comparison: Comparison, images: Path, *, min_score: float, count: int
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """The ``count`` images with most edits (without masks: most missed or false boxes), worst first: name and picture
    (H, W, 3) RGB.

    Args:
        comparison: with crowd regions where results are excused.
        images: folder with the images under the names in the truth.
        min_score: results below it are left out.
        count: how many.

    Raises:
        ValueError: an image is not there, or has not the size that the truth says.
    """
    masked = "segm" in comparison.kinds
    every = outlines(comparison if masked else comparison.boxes_alone(), min_score)
    seen = [overlaps(one) for one in every]
    grouped = [groups(one, over) for one, over in zip(every, seen, strict=True)]
    trouble = [
        corrections(over).edits if masked else sum(len(codes) for _, ink, codes in sorted_out if ink in {FALSE, MISSED})
        for over, sorted_out in zip(seen, grouped, strict=True)
    ]
    order = sorted(range(len(seen)), key=lambda i: (-trouble[i], comparison.images[i]["file_name"]))
    for i in order[:count]:
        image, done = comparison.images[i], corrections(seen[i])
        work = (
            f"{done.edits} edits: split {done.splits}, join {done.joins}, delete {done.deletions}, add {done.additions}"
        )
        caption = f"{image['file_name']}: {done.chromosomes} chromosomes"
        yield image["file_name"], picture(photograph(images, image), grouped[i], caption, work if masked else "")


def groups(image: Outlines, seen: Overlaps) -> list[Group]:
    """The outlines of an image by what the matching at IoU .5 makes of them."""
    partner = pairs(seen.iou)
    taken = np.isin(np.arange(len(image.results)), partner)

    def of(codes: Sequence[Code], chosen: NDArray[np.bool_]) -> list[Code]:
        return [code for code, wanted in zip(codes, chosen, strict=True) if wanted]

    return [
        ("found", FOUND, of(image.results, taken)),
        ("false", FALSE, of(image.results, ~taken & ~seen.excused)),
        ("missed", MISSED, of(image.truth, partner < 0)),
        ("excused", EXCUSED, of(image.results, ~taken & seen.excused)),
    ]


def picture(pixels: NDArray[np.uint8], sorted_out: Sequence[Group], caption: str, work: str) -> NDArray[np.uint8]:
    """A photograph (H, W), enlarged, with its outlines, under a caption that is their legend; (h, w, 3) RGB."""
    factor = 2 * max(1, _LARGEST_SIDE // max(pixels.shape))
    large = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    canvas = np.repeat(np.asarray(large, np.uint8)[..., None], 3, axis=2)
    for _, ink, codes in sorted(sorted_out, key=lambda group: group[1] in {FALSE, MISSED}):
        for code in codes:
            mask = np.asarray(rle.decode(code), np.uint8)
            enlarged = cv2.resize(mask, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
            lines, _ = cv2.findContours(enlarged, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.polylines(canvas, list(lines), True, ink, 3, cv2.LINE_AA)
    page = Page(canvas.shape[1] // 2, canvas.shape[0] // 2 + _CAPTION)
    page.text((16, 28), caption, size=20, anchor="lm")
    page.text((canvas.shape[1] / 2 - 16, 28), work, size=16, ink=INK, anchor="rm")
    for number, (words, ink, codes) in enumerate(sorted_out):
        page.line([(16 + _COLUMN * number, 60), (36 + _COLUMN * number, 60)], ink, 3)
        page.text((44 + _COLUMN * number, 60), f"{len(codes)} {words}", size=16, anchor="lm")
    page.paste(Image.fromarray(canvas), 0, _CAPTION)
    return page.pixels()


def photograph(folder: Path, image: dict[str, Any]) -> NDArray[np.uint8]:
    """The (H, W) grey image of the truth's ``image``, its range stretched over 0..255.

    Raises:
        ValueError: it is not there, or has not the size that the truth says.
    """
    path = folder / image["file_name"]
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if pixels is None:
        raise ValueError(
            f"{path} is not there or no image: --images is the folder with the images that the truth names"
        )
    if pixels.shape != (image["height"], image["width"]):
        raise ValueError(
            f"{path} has {pixels.shape[::-1]} pixels, and the truth says {image['width'], image['height']}"
        )
    low, high = float(pixels.min()), float(pixels.max())
    return np.round((pixels.astype(np.float32) - low) * (255 / max(high - low, 1.0))).astype(np.uint8)
