"""Labelled regions of simulated metaphases, separated as in the pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Bools
from karyotyping.image.normalise import normalise
from karyotyping.nomenclature.classes import NORMAL_COUNT
from karyotyping.segmentation.contours import Contour, ContourParameters, find_contours
from karyotyping.segmentation.router import CLUSTER, GEOMETRY, NOISE, PART, SIDE, SINGLE, WITH_NOISE, describe
from training.simulation.appearance import Appearance, Contrast, Optics, default_banding, draw_resolution, draw_values
from training.simulation.background import add_debris, add_nuclei
from training.simulation.chromosome import Patch, draw_chromosome
from training.simulation.karyotype_reports import ReportCell, read_cells
from training.simulation.metaphase import combine
from training.simulation.microscope import capture
from training.simulation.spread import Canvas, arrange

_SHAPE = (560, 680)  # px, rows and columns of a simulated metaphase
_CONTRASTS: tuple[Contrast, ...] = ("bright_field", "fluorescence")
_MIN_PART = 0.15  # share of a chromosome, 0..1, from which a region contains a part of it
_MAX_PART = 0.6  # share of a chromosome, 0..1, below which a region contains only a part of it
_MIN_WHOLE = 0.7  # share of a chromosome, 0..1, from which a region contains it: contours run inside of soft edges
_MIN_COVERED = 0.75  # share of a region, 0..1, that chromosomes cover unless noise is attached
_MAX_NOISE_COVERED = 0.1  # share of a region, 0..1, that chromosomes may cover if it is noise


@dataclass(frozen=True, slots=True)
class Samples:
    """N regions as inputs of the router, with their routes."""

    appearance: NDArray[np.float16]
    """(N, 2, SIDE, SIDE) stain and mask."""
    geometry: NDArray[np.float32]
    """(N, G) values of ``GEOMETRY``."""
    route: NDArray[np.int64]
    """(N,) indices into ``ROUTES``."""


def make_samples(reports: Sequence[Path], share: float, fields: int, *, seed: int, held_out: bool) -> Samples:
    """Simulate metaphases and return their labelled regions.

    Args:
        reports: karyotype reports to compose metaphases of.
        share: share of metaphases composed of chromosomes of the reports, 0..1; the others are drawn from ideograms.
        fields: number of metaphases.
        seed: seed of the metaphases.
        held_out: take the held-out cells of the reports instead of the training cells.
    """
    cells = [cell for report in reports for cell in read_cells(report, held_out=held_out)]
    by_report = [[cell for cell in cells if cell.report == report] for report in reports]
    found: list[tuple[NDArray[np.float32], NDArray[np.float32], int]] = []
    for number in range(fields):
        rng = np.random.default_rng((seed, int(held_out), number))
        chosen = by_report[int(rng.integers(len(by_report)))] if by_report and rng.random() < share else None
        found += _samples_of(rng, chosen[int(rng.integers(len(chosen)))] if chosen else None)
    return Samples(
        np.array([a for a, _, _ in found], np.float16).reshape(-1, 2, SIDE, SIDE),
        np.array([g for _, g, _ in found], np.float32).reshape(-1, len(GEOMETRY)),
        np.array([r for _, _, r in found], np.int64),
    )


def _samples_of(
    rng: np.random.Generator, cell: ReportCell | None
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32], int]]:
    """Yield appearance, geometry and route of each region of one metaphase."""
    pixels, truth = compose_metaphase(rng, cell)
    normalised = normalise(pixels)
    # Looser filters than the pipeline's, so that debris and nuclei are among the samples.
    default = ContourParameters()
    nuclei = default.nuclei if rng.random() < 0.5 else ()
    parameters = replace(default, debris_area=0.05, min_strength=0.2, nuclei=nuclei)
    contours = find_contours(normalised, parameters)
    for region, route in label_regions(contours.regions, truth, rng):
        appearance, geometry = describe(
            region.crop(normalised.stain), region.mask, normalised.width, contours.typical_area * rng.uniform(0.8, 1.25)
        )
        yield appearance, geometry, route


def compose_metaphase(rng: np.random.Generator, cell: ReportCell | None) -> tuple[NDArray[np.uint8], Bools]:
    """Simulate a metaphase of one report cell, or from ideograms.

    In most metaphases, nuclei and debris of several sizes overlap chromosomes.

    Returns:
        Image (H, W), and masks (N, H, W) of its chromosomes.
    """
    contrast = _CONTRASTS[int(rng.integers(2))]
    cell_appearance = draw_values(Appearance.for_contrast(contrast), rng)
    resolution, banding = draw_resolution(rng), default_banding(contrast)
    scale = float(rng.uniform(0.75, 1.05))
    parts = cell.patches() if cell else []
    widest = float(
        np.median([2 * cv2.distanceTransform(m.astype(np.uint8), cv2.DIST_L2, 5).max() for _, m in parts] or [1])
    )

    def draw_one(index: int) -> Patch:
        if not parts:
            return draw_chromosome(
                index // 2 % 24 + 1, rng, cell=cell_appearance, resolution=resolution, banding=banding
            )
        stain, mask = parts[index % len(parts)]
        return transform_chromosome(
            stain * cell_appearance["stain"], mask, cell_appearance["width"] * scale / widest, rng
        )

    canvas = Canvas(_SHAPE)
    touching, overlapping = int(rng.integers(4, 14)), int(rng.integers(2, 10))
    placed = arrange(draw_one, NORMAL_COUNT, canvas, rng, touching=touching, overlapping=overlapping)
    stain, truth = combine(placed, _SHAPE)
    apart = rng.random() < 0.4
    taken = canvas.near.copy() if apart else np.zeros(_SHAPE, bool)
    for size, most, kind in ((1.0, 3, contrast), (0.4, 2 if apart else 6, contrast), (0.14, 40, "fluorescence")):
        count = int(rng.integers(3 if apart else most))
        add_nuclei(
            stain, taken, count, chromosome_length=size * cell_appearance["first_length"], contrast=kind, rng=rng
        )
    for size in (1.0, 1.6):
        add_debris(stain, taken, int(rng.integers(4, 16)), size * cell_appearance["width"], rng)
    return capture(stain, draw_values(Optics.for_contrast(contrast), rng), contrast, rng), truth


def transform_chromosome(stain: NDArray[np.float32], mask: Bools, scale: float, rng: np.random.Generator) -> Patch:
    """Scale, rotate and possibly mirror a chromosome of a report.

    Args:
        stain: (h, w) stain.
        mask: (h, w) mask.
        scale: factor of both sides.
        rng: source of randomness.

    Returns:
        Patch without a class; its axis is the direction of its longest extent.
    """
    h, w = mask.shape
    side = int(np.ceil(np.hypot(h, w) * scale)) + 2
    turn = np.asarray(cv2.getRotationMatrix2D((w / 2, h / 2), float(rng.uniform(0, 360)), scale), np.float64)
    turn[:, 2] += side / 2 - np.array((w / 2, h / 2))
    source = cv2.GaussianBlur(stain * mask, (0, 0), max(0.01, 0.4 / scale - 0.4))
    planes = [cv2.warpAffine(plane.astype(np.float32), turn, (side, side)) for plane in (source, mask)]
    if rng.random() < 0.5:
        planes = [plane[:, ::-1] for plane in planes]
    body = planes[1] > 0.5
    rows, columns = np.nonzero(body)
    points = np.column_stack([columns, rows]).astype(np.float32)
    centre = points.mean(axis=0)
    direction = np.linalg.svd(points - centre, full_matrices=False)[2][0]
    reach = (points - centre) @ direction
    axis = centre + np.linspace(reach.min(), reach.max(), 32)[:, None] * direction
    return Patch(0, np.ascontiguousarray(planes[0]), np.ascontiguousarray(body), axis.astype(np.float32), 16)


def label_regions(regions: Sequence[Contour], truth: Bools, rng: np.random.Generator) -> Iterator[tuple[Contour, int]]:
    """Yield regions with their routes, and pieces of some regions with theirs.

    Ambiguous regions are skipped. Pieces are halves of single chromosomes, and chromosomes of clusters.

    Args:
        regions: contours in the image.
        truth: (N, H, W) masks of the chromosomes.
        rng: source of randomness.
    """
    areas = np.maximum(truth.sum(axis=(1, 2)), 1)
    for region in regions:
        x, y = region.origin
        h, w = region.mask.shape
        window = np.pad(truth, ((0, 0), (1, 1), (1, 1)))[:, y + 1 : y + 1 + h, x + 1 : x + 1 + w]
        if window.shape[1:] != region.mask.shape:
            continue  # its margin exceeds the padding
        inside = window & region.mask
        shares = inside.sum(axis=(1, 2)) / areas
        route = classify_content(shares, float(inside.any(axis=0).sum() / region.area))
        if route is not None:
            yield region, route
        if route == SINGLE and rng.random() < 0.5:
            yield from ((piece, PART) for piece in split_region(region, rng))
        if route == CLUSTER:
            for piece in inside[shares > _MIN_WHOLE]:
                if rng.random() < 0.6:
                    yield Contour(piece, region.origin), SINGLE


def classify_content(shares: NDArray[np.float64], covered: float) -> int | None:
    """Return the route of a region, or None if it is ambiguous.

    Args:
        shares: (N,) share of each chromosome inside the region, 0..1.
        covered: share of the region that chromosomes cover, 0..1.

    >>> classify_content(np.array([0.95, 0.02]), 0.9) == SINGLE
    True
    >>> classify_content(np.array([0.9, 0.9]), 0.9) == CLUSTER
    True
    """
    held = shares > _MIN_PART
    if not held.any():
        return NOISE if covered < _MAX_NOISE_COVERED else None
    if covered < _MIN_COVERED:
        return WITH_NOISE
    if held.sum() > 1:
        return CLUSTER
    if shares.max() > _MIN_WHOLE:
        return SINGLE
    return PART if shares.max() < _MAX_PART else None


def split_region(region: Contour, rng: np.random.Generator) -> list[Contour]:
    """Return both pieces of a region cut across its longest extent, unless they are tiny."""
    rows, columns = np.nonzero(region.mask)
    points = np.column_stack([columns, rows]) - (columns.mean(), rows.mean())
    direction = np.linalg.svd(points, full_matrices=False)[2][0]
    angle = float(rng.normal(0, 0.35))
    turn = np.array(((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))))
    along = points @ (turn @ direction)
    cut = np.quantile(along, rng.uniform(0.25, 0.75))
    pieces = []
    for side in (along < cut, along >= cut):
        mask = np.zeros_like(region.mask)
        mask[rows[side], columns[side]] = True
        pieces.append(Contour(mask, region.origin))
    return [piece for piece in pieces if piece.area > 0.2 * region.area]
