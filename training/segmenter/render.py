"""Simulation of a tile of a metaphase: clusters of chromosomes, and a microscope."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Floats, Grey
from karyotyping.image.normalise import CANONICAL_WIDTH
from karyotyping.segmentation.instance_decoding import TRAINING_TILE_SIDE
from training.segmenter.sample import AXIS_POINTS, Sample
from training.segmenter.sources import ChromosomeSource
from training.simulation.appearance import Contrast, Optics, draw_values
from training.simulation.axis import Course
from training.simulation.background import add_debris, add_nuclei
from training.simulation.clusters import RELATIONS, Cluster, masks_and_stain
from training.simulation.deform import DeformedChromosome, SingleChromosome, deform_chromosome
from training.simulation.microscope import capture, illumination
from training.simulation.noise import blur, smooth_noise

_MARGIN = 16  # px around the tile, so that blur has no border
_SIDE = TRAINING_TILE_SIDE + 2 * _MARGIN  # px of the simulated area
_ZOOM = (0.65, 1.4)  # width of the chromosomes in canonical widths
_STRETCH = (0.6, 1.7)  # length of a cell's chromosomes in lengths of its report, at the same width
_MAX_BRIGHTNESS_SIGMA = 0.45  # standard deviation of the log brightness within a cell; real stains reach it
_UNEVEN_SHARE = 0.3  # share of tiles, 0..1, whose stain varies across the spread
_UNEVEN_SCALE = 8.0  # chromosome widths over which it varies
_SWAPPED_CONTRAST_SHARE = 0.2  # share of tiles, 0..1, with the contrast that their report does not have
_SPOTTED_SHARE = 0.4  # share of cells, 0..1, with bright heterochromatin: a bright spot is not always an overlap
_SPOTTED_CHROMOSOMES = (0.15, 0.7)  # share of their chromosomes, 0..1, that have it
_RELATION_WEIGHTS = (0.9, 0.7, 1.0, 0.7, 0.4, 0.7, 0.35)
"""Mean frequencies of ``RELATIONS``: ends overlap ends less often than a chromosome is bent."""
_NUCLEUS_COUNTS = (0.5, 0.3, 0.13, 0.07)
"""Shares of tiles with 0, 1, 2 and 3 nuclei."""
_SPLIT_SHARE = 0.2  # share of cells, 0..1, with separate chromatids
_BORDER_SHARE = 0.15  # share of tiles, 0..1, with a border of the image
_MIN_AREA = 0.5  # squared chromosome widths, of a chromosome's part in the tile


def render_sample(seed: int, source: ChromosomeSource) -> Sample:
    """Simulate the tile of a seed: some chromosomes of one cell, anywhere in its metaphase."""
    rng = np.random.default_rng(seed)
    domain = int(rng.integers(len(source.domains)))
    cell = int(rng.integers(len(source.domains[domain])))
    contrast = source.domains[domain][cell].contrast
    if rng.random() < _SWAPPED_CONTRAST_SHARE:
        contrast = "bright_field" if contrast == "fluorescence" else "fluorescence"
    width = CANONICAL_WIDTH * float(np.exp(rng.uniform(*np.log(_ZOOM))))
    cluster = _compose(source, (domain, cell), width, contrast, rng)
    masks, axes, stain = masks_and_stain(cluster, min_area=_MIN_AREA * width**2)
    brightness = float(rng.uniform(0.35, 1.6) if contrast == "bright_field" else rng.uniform(0.2, 0.75))
    if rng.random() < _UNEVEN_SHARE:
        stain *= np.exp(rng.uniform(0, 0.6) * smooth_noise(stain.shape, _UNEVEN_SCALE * width, rng))
    _add_background(stain, cluster.covers > 0, width, contrast, rng)
    normalised = _normalised(brightness * stain, np.asarray(masks.any(axis=0)), contrast, rng)
    inside = np.zeros((_SIDE, _SIDE), bool)
    inside[_MARGIN : _MARGIN + TRAINING_TILE_SIDE, _MARGIN : _MARGIN + TRAINING_TILE_SIDE] = True
    if rng.random() < _BORDER_SHARE:
        _cut_border(inside, rng)
    normalised[~inside] = 0
    masks &= inside
    kept = masks.sum(axis=(1, 2)) >= _MIN_AREA * width**2
    tile = np.s_[_MARGIN : _MARGIN + TRAINING_TILE_SIDE, _MARGIN : _MARGIN + TRAINING_TILE_SIDE]
    kept_axes = [_resampled(axis) - _MARGIN for axis, k in zip(axes, kept, strict=True) if k]
    return Sample(
        np.ascontiguousarray(normalised[tile]),
        np.ascontiguousarray(masks[kept][:, *tile]),
        np.array(kept_axes, np.float32).reshape(-1, AXIS_POINTS, 2),
    )


@dataclass(frozen=True, slots=True)
class _CellStyle:
    """What the chromosomes of one cell have in common."""

    scale: float
    """Pixels of the tile per pixel of the report."""
    width: float
    """Width of the chromosomes, pixels of the tile."""
    halo: float
    """Distance outside of the outline at which the stain has faded to 1 / e, pixels."""
    tone: float
    """Exponent of the stain."""
    flatness: float
    """Share of the stain without bands, 0..1."""
    bends: float
    """Standard deviation of the bends, radians."""
    brightness_sigma: float
    """Standard deviation of the log brightness of chromosomes."""
    spotted: float
    """Share of chromosomes with bright heterochromatin, 0..1."""
    split: float
    """Depth of the groove between the chromatids, 0..1."""
    stretch: float
    """Length in lengths of the report."""


def _draw_style(scale: float, width: float, contrast: Contrast, rng: np.random.Generator) -> _CellStyle:
    sharp = contrast == "bright_field"
    halo = width * float(rng.uniform(0.04, 0.13) if sharp else rng.uniform(0.08, 0.24))
    tone, flatness = float(np.exp(rng.normal(0, 0.25))), float(rng.choice((0.0, rng.uniform(0, 0.9))))
    bends, brightness_sigma = rng.uniform(0.0, 0.9), rng.uniform(0.0, _MAX_BRIGHTNESS_SIGMA)
    spotted = rng.uniform(*_SPOTTED_CHROMOSOMES) if rng.random() < _SPOTTED_SHARE else 0.0
    split = rng.uniform(0.2, 0.9) if rng.random() < _SPLIT_SHARE else 0.0
    stretch = float(np.exp(rng.uniform(*np.log(_STRETCH))))
    return _CellStyle(scale, width, halo, tone, flatness, bends, brightness_sigma, spotted, split, stretch)


def _deform(
    item: SingleChromosome, style: _CellStyle, heading: float | None, place: float, rng: np.random.Generator
) -> DeformedChromosome:
    """Bend and stain a chromosome at random.

    Args:
        item: chromosome of a report.
        style: style of its cell.
        heading: direction of its axis at ``place``, radians; any if None.
        place: place along its axis, 0..1.
        rng: source of randomness.
    """
    course, kink = _winding(item, style.bends, rng)
    mirrored = bool(rng.random() < 0.5)
    turn = 0.0 if heading is None else _heading(item, course, mirrored, place)
    angle = float(rng.uniform(0, 2 * np.pi)) if heading is None else heading - turn
    stretch = style.stretch * float(np.exp(rng.normal(0, 0.06)))
    deformed = deform_chromosome(
        item, scale=style.scale, angle=angle, course=course, halo=style.halo, stretch=stretch, mirrored=mirrored
    )
    body = deformed.stain**style.tone
    if rng.random() < style.spotted:
        body = body * (1 + _spot(deformed, kink if rng.random() < 0.5 else rng.uniform(0.1, 0.9), style.width, rng))
    if style.split:
        body = body * _groove(deformed, style.width, style.split * rng.uniform(0.5, 1.0), rng)
    brightness = np.float32(np.exp(rng.normal(0, style.brightness_sigma)))
    flat = np.minimum(1, 1.6 * deformed.stain)
    stain = brightness * ((1 - style.flatness) * body + style.flatness * flat)
    return DeformedChromosome(stain, deformed.mask, deformed.axis)


def _compose(
    source: ChromosomeSource, which: tuple[int, int], width: float, contrast: Contrast, rng: np.random.Generator
) -> Cluster:
    """Place chromosomes of a cell in a round spread until enough of it is covered.

    Args:
        source: source of the chromosomes.
        which: domain and cell.
        width: width of the chromosomes, pixels.
        contrast: contrast of the tile.
        rng: source of randomness.
    """
    domain, cell = which
    style = _draw_style(width / source.width(domain, cell), width, contrast, rng)
    size = len(source.domains[domain][cell])

    def make(heading: float | None, place: float) -> DeformedChromosome | None:
        item = source.chromosome(domain, cell, int(rng.integers(size)))
        return None if item is None else _deform(item, style, heading, place, rng)

    cluster = Cluster(
        (_SIDE, _SIDE),
        gap=float(rng.uniform(0.05, 0.6)) * width,
        max_covered=float(rng.uniform(0.3, 0.6)),
        max_members=int(rng.integers(2, 10)),
    )
    centre, radius = rng.uniform(0, _SIDE, 2), rng.uniform(6, 20) * width
    fallback = rng.uniform(0, 1, 2) * _SIDE  # for positions outside: some tiles show the edge of the spread

    def draw_position() -> tuple[float, float]:
        angle, distance = rng.uniform(0, 2 * np.pi), radius * np.sqrt(rng.uniform())
        x, y = centre + distance * np.array((np.cos(angle), np.sin(angle)))
        if -30 < x < _SIDE + 30 and -30 < y < _SIDE + 30:
            return float(x), float(y)
        x, y = fallback + rng.normal(0, 60, 2)
        return float(x), float(y)

    density = float(rng.uniform(0.08, 0.45))
    weights = 0.2 * np.eye(len(RELATIONS))[0] + 0.8 * rng.dirichlet(_RELATION_WEIGHTS)
    covered, failed = 0, 0
    spread_area = np.pi * radius**2
    while failed < 20 and len(cluster.members) < 60 and covered < density * min(spread_area, _SIDE**2):
        relation = RELATIONS[int(rng.choice(len(RELATIONS), p=weights))] if cluster.members else "apart"
        if relation == "apart":
            item = make(None, 0.5)
            done = item is not None and cluster.place_apart(item, draw_position)
        else:
            done = cluster.place_on_another(relation, make, width, rng)
        failed = 0 if done else failed + 1
        covered = int(np.count_nonzero(cluster.covers))
    return cluster


def _spot(deformed: DeformedChromosome, place: float, width: float, rng: np.random.Generator) -> Grey:
    """Return the relative brightness (h, w) that heterochromatin adds at a place, 0..1."""
    x, y = deformed.axis[int(place * len(deformed.axis))]
    rows, columns = deformed.stain.shape
    squared_distance = (np.arange(rows)[:, None] - y) ** 2 + (np.arange(columns) - x) ** 2
    spot: Grey = (
        rng.uniform(0.4, 2.5) * np.exp(-squared_distance / (2 * (rng.uniform(0.2, 0.6) * width) ** 2))
    ).astype(np.float32)
    return spot


def _groove(deformed: DeformedChromosome, width: float, depth: float, rng: np.random.Generator) -> Grey:
    """Return the factor (h, w) of the stain between separate chromatids.

    The groove is deepest at the ends and vanishes at the centromere.
    """
    rows, columns = deformed.stain.shape
    line = np.zeros((rows, columns), np.uint8)
    cv2.polylines(line, [np.round(deformed.axis).astype(np.int32)[:, None]], isClosed=False, color=1)
    distance = cv2.distanceTransform(1 - line, cv2.DIST_L2, 3)
    x, y = deformed.axis[int(rng.uniform(0.05, 0.95) * len(deformed.axis))]
    from_centromere = np.hypot(np.arange(rows)[:, None] - y, np.arange(columns) - x)
    separation = np.clip(from_centromere / (rng.uniform(0.6, 2.0) * width), 0, 1)
    factor: Grey = (1 - depth * separation * np.exp(-((distance / (rng.uniform(0.1, 0.22) * width)) ** 2))).astype(
        np.float32
    )
    return factor


def _winding(item: SingleChromosome, bends: float, rng: np.random.Generator) -> tuple[Course, float]:
    """Return a random course of the axis beyond its own bends, and the place of a kink, 0..1.

    Most courses are nearly straight; 12 % turn strongly, 18 % have a kink.
    """
    slender = item.length / item.width
    freedom = float(np.clip((slender - 1.5) / 5, 0, 1))
    turn, wave = freedom * bends * rng.normal(0, 1), freedom * 0.3 * bends * rng.normal(0, 1)
    phase, fold, place = rng.uniform(), 0.0, rng.uniform(0.25, 0.75)
    kind = rng.random()
    if kind < 0.12:
        turn = freedom * rng.choice((-1, 1)) * rng.uniform(1.2, 3.4)
    elif kind < 0.3:
        fold = freedom * rng.choice((-1, 1)) * rng.uniform(0.5, 2.2)
    sharpness = slender * rng.uniform(0.8, 2.0)

    def course(u: Floats) -> Floats:
        bent: Floats = turn * (u - 0.5) + wave * np.cos(2 * np.pi * (u + phase))
        return bent + 0.5 * fold * np.tanh((u - place) * sharpness)

    return course, place


def _heading(item: SingleChromosome, course: Course, mirrored: bool, place: float) -> float:
    """Return the heading of a chromosome bent by ``course``, at a place along its axis, radians."""
    steps = np.gradient(item.axis, axis=0)
    own = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    own = (own - own.mean()) * (-1 if mirrored else 1)
    return float(own[round(place * (len(own) - 1))] + course(np.array([place]))[0])


def _add_background(
    stain: Grey, chromosomes: NDArray[np.bool_], width: float, contrast: Contrast, rng: np.random.Generator
) -> None:
    """Add nuclei and debris, mostly clear of the chromosomes."""
    taken = chromosomes.copy() if rng.random() < 0.7 else np.zeros_like(chromosomes)
    for _ in range(int(rng.choice(len(_NUCLEUS_COUNTS), p=_NUCLEUS_COUNTS))):
        nucleus = np.zeros_like(stain)
        size = width * float(np.exp(rng.uniform(*np.log((1.6, 8.0)))))
        add_nuclei(nucleus, taken.copy(), 1, chromosome_length=size, contrast=contrast, rng=rng)
        if rng.random() < 0.4:  # out of focus
            nucleus = blur(nucleus, size * float(rng.uniform(0.03, 0.2)))
        if contrast == "fluorescence":  # up to four times as bright; the camera saturates
            nucleus *= np.float32(np.exp(rng.uniform(*np.log((0.6, 4.0)))))
        stain += nucleus
    if rng.random() < 0.6:
        add_debris(stain, taken, int(rng.integers(1, 8)), width, rng)


def _normalised(stain: Grey, body: NDArray[np.bool_], contrast: Contrast, rng: np.random.Generator) -> Grey:
    """Return the image of a stain as ``karyotyping.image.normalise`` would normalise it.

    The background is not estimated: it is the true one with a random error. The camera has at most as many pixels as
    the canonical scale.

    Args:
        stain: (H, W) stain.
        body: (H, W) pixels of chromosomes.
        contrast: contrast of the image.
        rng: source of randomness.
    """
    optics = draw_values(Optics.for_contrast(contrast), rng)
    optics["blur"] *= rng.uniform(0.6, 1.3)
    optics["noise"] *= rng.uniform(0.3, 1.5)
    pixels = round(_SIDE * float(rng.uniform(0.55, 1.0)))
    small = np.asarray(cv2.resize(stain, (pixels, pixels), interpolation=cv2.INTER_AREA), np.float32)
    light = illumination(small.shape, optics, rng)
    grey = capture(small, optics, contrast, rng, light).astype(np.float32)
    empty = optics["background"]
    signal: Grey = (grey - empty if contrast == "fluorescence" else light * empty - grey) / np.float32(255)
    signal = blur(signal, 0.6)
    signal -= float(rng.uniform(0.3, 1.0)) * float(np.quantile(signal[::4, ::4], 0.12))
    background_error = (
        illumination(small.shape, {"vignetting": rng.normal(0, 0.04), "slope": rng.normal(0, 0.04)}, rng) - 1
    )
    signal = np.asarray(cv2.resize(signal, stain.shape, interpolation=cv2.INTER_LINEAR), np.float32)
    level = float(np.median(signal[body])) if body.any() else 0.5
    level = max(level, 0.02) * float(np.exp(rng.normal(0, 0.1)))
    error = cv2.resize(background_error, stain.shape, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(signal / level + error, 0, 2), np.float32)


def _cut_border(inside: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Set pixels beyond a border of the image, on one side of the tile, to False."""
    place = int(rng.integers(_MARGIN, _SIDE - _MARGIN))
    inside = inside.T if rng.random() < 0.5 else inside
    if place < _SIDE // 2:
        inside[: place // 2] = False
    else:
        inside[(place + _SIDE) // 2 :] = False


def _resampled(axis: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``AXIS_POINTS`` points, evenly along an axis (K, 2)."""
    places = np.linspace(0, len(axis) - 1, AXIS_POINTS)
    return np.stack([np.interp(places, np.arange(len(axis)), axis[:, i]) for i in (0, 1)], axis=1).astype(np.float32)
