"""Images that need most edits, with outlines of results and of missed chromosomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pycocotools import mask as rle
from skimage.measure import find_contours

from karyotyping.arrays import Bools, Floats
from training.evaluation.charts import INK, new_figure
from training.evaluation.instances.edit_count import Corrections, Overlaps, count_corrections, match_one_to_one
from training.evaluation.instances.mask_overlap import Code, Outlines, measure_overlaps, outlines
from training.evaluation.instances.matching import CocoItem, Comparison

COLORS = {"found": "#2896ff", "false": "#ffa500", "missed": "#f01e3c", "excused": "#969696"}
"""Colours of the outlines by group."""
_MAX_SIDE = 1400  # px, of an image that is enlarged by a whole factor
_HEADER_HEIGHT = 90  # px
_LINE_WIDTH = 1.2  # points

Groups = dict[str, list[Code]]
"""The outlines of an image by what became of them: a key of ``COLORS``."""


def worst_images(comparison: Comparison, images: Path, *, min_score: float, count: int) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure of the images with most edits, or without masks most errors.

    Args:
        comparison: with crowd regions where results are excused.
        images: folder with the images under the names in the truth.
        min_score: least score, 0..1, of the results drawn.
        count: number of images.

    Raises:
        ValueError: an image is absent, or its size differs from the truth's.
    """
    masked = "segm" in comparison.kinds
    per_image = outlines(comparison if masked else comparison.without_masks(), min_score)
    overlaps = [measure_overlaps(one) for one in per_image]
    groups = [group_outlines(one, overlap) for one, overlap in zip(per_image, overlaps, strict=True)]
    corrections = [count_corrections(overlap) for overlap in overlaps]
    errors = [
        work.edits if masked else len(group["false"]) + len(group["missed"])
        for work, group in zip(corrections, groups, strict=True)
    ]
    order = sorted(range(len(errors)), key=lambda i: (-errors[i], comparison.images[i]["file_name"]))
    for i in order[:count]:
        image, name = comparison.images[i], comparison.images[i]["file_name"]
        title = f"{name}: {corrections[i].chromosomes} chromosomes"
        summary = _edits_in_words(corrections[i]) if masked else ""
        yield name, draw_outlines(read_image(images, image), groups[i], title, summary)


def _edits_in_words(work: Corrections) -> str:
    return f"{work.edits} edits: split {work.splits}, join {work.joins}, delete {work.deletions}, add {work.additions}"


def group_outlines(image: Outlines, overlaps: Overlaps) -> Groups:
    """Group the results that are found, false and excused, and the chromosomes that are missed."""
    partner = match_one_to_one(overlaps.iou)
    taken = np.isin(np.arange(len(image.results)), partner)

    def chosen(codes: Sequence[Code], wanted: Bools) -> list[Code]:
        return [code for code, is_wanted in zip(codes, wanted, strict=True) if is_wanted]

    return {
        "found": chosen(image.results, taken),
        "false": chosen(image.results, ~taken & ~overlaps.excused),
        "missed": chosen(image.truth, partner < 0),
        "excused": chosen(image.results, ~taken & overlaps.excused),
    }


def draw_outlines(pixels: NDArray[np.uint8], groups: Groups, title: str, summary: str) -> Figure:
    """Draw an (H, W) image, enlarged by a whole factor, with its outlines and a legend."""
    factor = max(1, _MAX_SIDE // max(pixels.shape))
    height, width = (factor * side for side in pixels.shape)
    figure = new_figure(width, height + _HEADER_HEIGHT, constrained=False)
    axes = figure.add_axes((0, 0, 1, height / (height + _HEADER_HEIGHT)))
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="bicubic", aspect="auto")
    for group, color in COLORS.items():
        lines = [line for code in groups[group] for line in _contours(code)]
        label = f"{len(groups[group])} {group}"
        above = 3 if group in ("false", "missed") else 2
        outline = LineCollection(lines, colors=color, linewidths=_LINE_WIDTH, label=label, zorder=above)
        axes.add_collection(outline, autolim=False)
    axes.set_axis_off()
    left, top = 16 / width, height + _HEADER_HEIGHT
    figure.text(left, 1 - 28 / top, title, color=INK, fontsize=14, va="center")
    figure.text(1 - left, 1 - 28 / top, summary, color=INK, fontsize=11, va="center", ha="right")
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="center left",
        bbox_to_anchor=(0, 1 - 66 / top),
        ncols=len(COLORS),
        frameon=False,
        labelcolor=INK,
        fontsize=11,
    )
    return figure


def _contours(code: Code) -> list[Floats]:
    """Return the outlines (N, 2) of a mask, x and y in pixels."""
    x, y, width, height = (int(n) for n in rle.toBbox(code))
    padded = np.pad(rle.decode(code)[y : y + height, x : x + width], 1)
    return [line[:, ::-1] + (x - 1, y - 1) for line in find_contours(padded, 0.5)]  # type: ignore[no-untyped-call]


def read_image(folder: Path, image: CocoItem) -> NDArray[np.uint8]:
    """Read the (H, W) grey image that the truth names, its range stretched over 0..255.

    Raises:
        ValueError: it is absent, or its size differs from the truth's.
    """
    path = folder / image["file_name"]
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if pixels is None:
        raise ValueError(f"{path} is absent or not an image: --images is the folder with the images of the truth")
    if pixels.shape != (image["height"], image["width"]):
        raise ValueError(
            f"{path} has {pixels.shape[::-1]} pixels, and the truth says {image['width'], image['height']}"
        )
    low, high = float(pixels.min()), float(pixels.max())
    return np.round((pixels.astype(np.float32) - low) * (255 / max(high - low, 1.0))).astype(np.uint8)
