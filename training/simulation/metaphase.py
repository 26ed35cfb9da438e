"""Simulation of one metaphase of any numerical karyotype, with exact truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

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
"""x, y, width, height, pixels."""


@dataclass(frozen=True, slots=True)
class SimulatedMetaphase:
    """Image of N chromosomes with its truth; coordinates are x, y in pixels."""

    pixels: NDArray[np.uint8]
    """(H, W) grey levels."""
    masks: NDArray[np.bool_]
    """(N, H, W) whole chromosomes, with their overlapped parts."""
    boxes: tuple[Box, ...]
    """Tight box of each mask."""
    classes: tuple[int, ...]
    """Class of each chromosome, 1..24."""
    iscn: str
    """Karyotype."""
    contrast: Contrast
    banding: Banding
    resolution: Resolution
    contacts: tuple[Contact, ...]
    """Contact of each chromosome with those placed before it."""
    axes: tuple[NDArray[np.float32], ...]
    """(K, 2) medial axis of each chromosome, from the p to the q telomere."""
    centromeres: tuple[tuple[float, float], ...]
    """Centromere of each chromosome."""
    stain: NDArray[np.float32]
    """(H, W) absorbance, or brightness in fluorescence, before the microscope."""
    nuclei: tuple[Box, ...]
    """Boxes of nuclei."""
    neighbours: tuple[Box, ...]
    """Boxes of the visible parts of another cell's chromosomes at the border."""
    debris: int
    """Number of debris objects."""


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
    appearance: Appearance | None = None,
    optics: Optics | None = None,
    banding: Banding | None = None,
    resolution: Resolution | None = None,
) -> SimulatedMetaphase:
    """Draw a metaphase; the same arguments give the same bytes.

    Args:
        karyotype: numerical karyotype such as ``"47,XY,+21"``, or copies by class.
        seed: seed of the metaphase.
        contrast: contrast of the microscope.
        touching: number of chromosomes that touch one placed before them.
        overlapping: number of chromosomes that overlap one placed before them; their stains add.
        nuclei: number of nuclei to try.
        debris: number of debris objects to try.
        neighbours: number of another cell's chromosomes to try; the border cuts them.
        shape: rows and columns of the image, pixels.
        appearance: ranges of the chromosomes; the usual ones of ``contrast`` if None.
        optics: ranges of the microscope; the usual ones of ``contrast`` if None.
        banding: banding; the usual one of ``contrast`` if None.
        resolution: band level; drawn if None.

    Raises:
        ValueError: the karyotype or the contrast is not valid, or there are more chromosomes or contacts than fit.
    """
    if contrast not in get_args(Contrast):
        raise ValueError(f"{contrast!r} is no contrast; there are: {', '.join(get_args(Contrast))}")
    counts = parse_iscn(karyotype) if isinstance(karyotype, str) else dict(karyotype)
    classes = [class_id for class_id, copies in sorted(counts.items()) for _ in range(copies)]
    streams = [np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(5)]
    for_appearance, for_chromosomes, for_layout, for_surroundings, for_optics = streams
    cell = draw_values(appearance or Appearance.for_contrast(contrast), for_appearance)
    resolution = resolution or draw_resolution(for_appearance)
    banding = banding or default_banding(contrast)

    def draw_one(class_id: int) -> Patch:
        return draw_chromosome(class_id, for_chromosomes, cell=cell, resolution=resolution, banding=banding)

    canvas = Canvas(shape)
    placed = arrange(
        lambda i: draw_one(classes[i]), len(classes), canvas, for_layout, touching=touching, overlapping=overlapping
    )
    neighbouring = _place_neighbours(neighbours, canvas, draw_one, for_surroundings)
    stain, masks = combine(placed, shape)
    for item in neighbouring:
        add_stain(stain, item)
    taken = canvas.near.copy()
    nucleus_boxes = add_nuclei(
        stain, taken, nuclei, chromosome_length=cell["first_length"], contrast=contrast, rng=for_surroundings
    )
    particles = add_debris(stain, taken, debris, cell["width"], for_surroundings)
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
        neighbours=tuple(_box(item, shape) for item in neighbouring),
        debris=particles,
    )


def combine(placed: Sequence[Placed], shape: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return stain (H, W) and masks (N, H, W) of N chromosomes on a canvas (H, W)."""
    stain = np.zeros(shape, dtype=np.float32)
    masks = np.zeros((len(placed), *shape), dtype=bool)
    for mask, item in zip(masks, placed, strict=True):
        add_stain(stain, item)
        h, w = item.patch.mask.shape
        mask[item.y : item.y + h, item.x : item.x + w] = item.patch.mask
    return stain, masks


def add_stain(stain: NDArray[np.float32], item: Placed) -> None:
    """Add the stain of a chromosome to a canvas (H, W), which may cut it off."""
    window, part = _visible(item, (stain.shape[0], stain.shape[1]))
    stain[window] += item.patch.stain[part]


def _visible(item: Placed, shape: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the window of the canvas that a patch covers, and the same window in the patch."""
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


def _place_neighbours(
    count: int, canvas: Canvas, draw_one: Callable[[int], Patch], rng: np.random.Generator
) -> list[Placed]:
    """Place up to ``count`` chromosomes of another cell at the border, clear of this cell."""
    rows, columns = canvas.shape
    neighbours: list[Placed] = []
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
            visible = patch.mask[part]
            if visible.any() and not (canvas.near[window] & visible).any():
                canvas.add(item)
                neighbours.append(item)
                break
    return neighbours
