"""One metaphase of any numerical karyotype, with exact truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karyotyping.nomenclature.ideogram import Banding, Resolution
from karyotyping.nomenclature.iscn import format_iscn, parse_iscn
from training.simulation.appearance import Appearance, Contrast, Optics, default_banding, draw_resolution, draw_values
from training.simulation.background import add_debris, add_nuclei
from training.simulation.chromosome import Patch, draw_chromosome
from training.simulation.microscope import capture
from training.simulation.spread import Canvas, Contact, Placed, arrange

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class SimulatedMetaphase:
    """An image and all that is true of it. N chromosomes; coordinates in pixels, x before y."""

    pixels: NDArray[np.uint8]
    """(H, W)."""
    masks: NDArray[np.bool_]
    """(N, H, W) whole chromosomes, also where another one lies across them."""
    boxes: tuple[Box, ...]
    """Tight x, y, width, height of each mask."""
    classes: tuple[int, ...]
    """Class ids 1..24."""
    iscn: str
    contrast: Contrast
    banding: Banding
    resolution: Resolution
    contacts: tuple[Contact, ...]
    """Whether a chromosome was laid apart, beside or across one that lay there already."""
    axes: tuple[NDArray[np.float32], ...]
    """(K, 2) x, y of each medial axis, from the p telomere to the q telomere."""
    centromeres: tuple[tuple[float, float], ...]
    """x, y."""
    stain: NDArray[np.float32]
    """(H, W) absorbance (brightness in fluorescence) before light, lens and camera."""
    nuclei: tuple[Box, ...]
    neighbours: tuple[Box, ...]
    """Boxes of the visible parts of chromosomes of another cell at the border; they have no class here."""
    debris: int


def simulate(
    karyotype: str | Mapping[int, int],
    *,
    seed: int | Sequence[int],
    contrast: Contrast = "bright_field",
    touching: int = 0,
    overlapping: int = 0,
    nuclei: int = 2,
    debris: int = 8,
    neighbours: int = 0,
    shape: tuple[int, int] = (700, 900),
    look: Appearance | None = None,
    optics: Optics | None = None,
    banding: Banding | None = None,
    resolution: Resolution | None = None,
) -> SimulatedMetaphase:
    """Draw a metaphase; the same arguments give the same bytes.

    Args:
        karyotype: a numerical karyotype such as ``"47,XY,+21"``, or copies by class id.
        touching: how many chromosomes lie against one that was placed before them.
        overlapping: how many lie across one; absorbances (bright field) or brightnesses (fluorescence) add.
        nuclei, debris, neighbours: how many to try to find room for; neighbours are cut by the border.
        shape: rows, columns.
        look, optics: ranges to draw this cell from; what is usual for ``contrast`` if None.
        banding: G in bright field, DAPI in fluorescence if None.
        resolution: band level; drawn if None.

    Raises:
        ValueError: a karyotype that does not parse, or more chromosomes or contacts than fit.
    """
    counts = parse_iscn(karyotype) if isinstance(karyotype, str) else dict(karyotype)
    classes = [class_id for class_id, copies in sorted(counts.items()) for _ in range(copies)]
    streams = [np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(5)]
    for_look, for_chromosomes, for_layout, for_surroundings, for_optics = streams
    cell = draw_values(look or Appearance.for_contrast(contrast), for_look)
    resolution = resolution or draw_resolution(for_look)
    banding = banding or default_banding(contrast)

    def draw_one(class_id: int) -> Patch:
        return draw_chromosome(class_id, for_chromosomes, cell=cell, resolution=resolution, banding=banding)

    canvas = Canvas(shape)
    placed = arrange(
        lambda i: draw_one(classes[i]), len(classes), canvas, for_layout, touching=touching, overlapping=overlapping
    )
    strangers = _neighbours(neighbours, canvas, draw_one, for_surroundings)
    stain = np.zeros(shape, dtype=np.float32)
    masks = np.zeros((len(placed), *shape), dtype=bool)
    for mask, item in zip(masks, placed, strict=True):
        add_stain(stain, item)
        h, w = item.patch.mask.shape
        mask[item.y : item.y + h, item.x : item.x + w] = item.patch.mask
    for item in strangers:
        add_stain(stain, item)
    taken = canvas.near.copy()
    nucleus_boxes = add_nuclei(
        stain, taken, nuclei, chromosome_length=cell["first_length"], contrast=contrast, rng=for_surroundings
    )
    specks = add_debris(stain, taken, debris, cell["width"], for_surroundings)
    pixels = capture(stain, draw_values(optics or Optics.for_contrast(contrast), for_optics), contrast, for_optics)
    axes = tuple(item.patch.axis + np.array((item.x, item.y), np.float32) for item in placed)
    return SimulatedMetaphase(
        pixels=pixels,
        masks=masks,
        boxes=tuple(_box(item, shape) for item in placed),
        classes=tuple(classes),
        iscn=format_iscn(counts),
        contrast=contrast,
        banding=banding,
        resolution=resolution,
        contacts=tuple(item.contact for item in placed),
        axes=axes,
        centromeres=tuple(
            (float(axis[item.patch.centromere, 0]), float(axis[item.patch.centromere, 1]))
            for axis, item in zip(axes, placed, strict=True)
        ),
        stain=stain,
        nuclei=tuple(nucleus_boxes),
        neighbours=tuple(_box(item, shape) for item in strangers),
        debris=specks,
    )


def add_stain(stain: NDArray[np.float32], item: Placed) -> None:
    """Add a chromosome's stain where it lies; what lies outside the canvas is cut off."""
    window, part = _visible(item, (stain.shape[0], stain.shape[1]))
    stain[window] += item.patch.stain[part]


def _visible(item: Placed, shape: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The window of the canvas that a patch covers, and the same window in the patch."""
    h, w = item.patch.mask.shape
    top, left, bottom, right = max(0, item.y), max(0, item.x), min(shape[0], item.y + h), min(shape[1], item.x + w)
    window = (slice(top, max(top, bottom)), slice(left, max(left, right)))
    part = (slice(top - item.y, max(top, bottom) - item.y), slice(left - item.x, max(left, right) - item.x))
    return window, part


def _box(item: Placed, shape: tuple[int, int]) -> Box:
    window, part = _visible(item, shape)
    rows, columns = np.nonzero(item.patch.mask[part])
    x, y = int(columns.min()), int(rows.min())
    return window[1].start + x, window[0].start + y, int(columns.max()) - x + 1, int(rows.max()) - y + 1


def _neighbours(count: int, canvas: Canvas, draw_one: Callable[[int], Patch], rng: np.random.Generator) -> list[Placed]:
    """Up to ``count`` chromosomes of another cell that the border cuts, clear of those of this cell."""
    rows, columns = canvas.shape
    strangers: list[Placed] = []
    side = int(rng.integers(4))
    for _ in range(count):
        for _ in range(40):
            patch = draw_one(int(rng.integers(1, 25)))
            h, w = patch.mask.shape
            depth, along = rng.uniform(0.1, 1.2), rng.uniform(0.0, 0.5)
            x, y = int(along * columns), int(-h + depth * h)
            if side == 1:
                x, y = int(columns - depth * w), int(along * rows)
            elif side == 2:
                x, y = int((0.5 + along) * columns - w / 2), int(rows - depth * h)
            elif side == 3:
                x, y = int(-w + depth * w), int((0.5 + along) * rows - h / 2)
            item = Placed(patch, x, y)
            window, part = _visible(item, canvas.shape)
            seen = patch.mask[part]
            if seen.any() and not (canvas.near[window] & seen).any():
                canvas.add(item)
                strangers.append(item)
                break
    return strangers
