"""How a tile of a metaphase is simulated: single chromosomes are laid down, and a microscope looks at them."""

from __future__ import annotations

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

_MARGIN = 16
"""Pixels that the photograph goes on beyond the tile, so that blur has no border."""
_SIDE = TRAINING_TILE_SIDE + 2 * _MARGIN
_ZOOM = (0.65, 1.4)
_CONDENSED = (0.6, 1.7)
"""How long the chromosomes of a cell are beside those of its report, their width being the same."""
_UNEVEN = 0.45
"""Largest standard deviation of the log of the brightness of a cell's chromosomes; real stains are that uneven."""
_PATCHY, _PATCH = 0.3, 8.0
"""Share of fields whose stain rises and falls across the spread, and over how many widths."""
_ANOTHER_STAIN = 0.2
"""Share of fields whose chromosomes are photographed as if they were stained the other way."""
_SPOTTED, _SPOTS = 0.4, (0.15, 0.7)
"""Share of cells with bright heterochromatin, and share of their chromosomes that have it: it is no crossing, not even
where a chromosome is bent."""
_RELATIONS = (0.9, 0.7, 1.0, 0.7, 0.4, 0.7, 0.35)
"""How common ``RELATIONS`` are, on average: ends lie across ends more rarely than a chromosome is bent."""
_NUCLEI = (0.5, 0.3, 0.13, 0.07)
"""Shares of fields with none, one, ... nuclei."""
_PARTED = 0.2
"""Share of cells whose chromatids stand apart."""
_BORDERED = 0.15
"""Share of fields that the border of the photograph cuts."""


def render_sample(seed: int, reports: ChromosomeSource) -> Sample:
    """The field of a seed: a few or a few dozen chromosomes of one cell, wherever the tile lies in its metaphase."""
    rng = np.random.default_rng(seed)
    domain = int(rng.integers(len(reports.domains)))
    cell = int(rng.integers(len(reports.domains[domain])))
    contrast = reports.domains[domain][cell].contrast
    if rng.random() < _ANOTHER_STAIN:
        contrast = "bright_field" if contrast == "fluorescence" else "fluorescence"
    width = CANONICAL_WIDTH * float(np.exp(rng.uniform(*np.log(_ZOOM))))
    crowd = _gather(reports, (domain, cell), width, contrast, rng)
    masks, axes, stain = masks_and_stain(crowd, least=0.5 * width**2)
    light = float(rng.uniform(0.35, 1.6) if contrast == "bright_field" else rng.uniform(0.2, 0.75))
    if rng.random() < _PATCHY:
        stain *= np.exp(rng.uniform(0, 0.6) * smooth_noise(stain.shape, _PATCH * width, rng))
    _surround(stain, crowd.covers > 0, width, contrast, rng)
    seen = _normalised(light * stain, np.asarray(masks.any(axis=0)), contrast, rng)
    inside = np.zeros((_SIDE, _SIDE), bool)
    inside[_MARGIN : _MARGIN + TRAINING_TILE_SIDE, _MARGIN : _MARGIN + TRAINING_TILE_SIDE] = True
    if rng.random() < _BORDERED:
        _cut(inside, rng)
    seen[~inside] = 0
    masks &= inside
    kept = masks.sum(axis=(1, 2)) >= 0.5 * width**2
    tile = np.s_[_MARGIN : _MARGIN + TRAINING_TILE_SIDE, _MARGIN : _MARGIN + TRAINING_TILE_SIDE]
    kept_axes = [_resampled(axis) - _MARGIN for axis, k in zip(axes, kept, strict=True) if k]
    return Sample(
        np.ascontiguousarray(seen[tile]),
        np.ascontiguousarray(masks[kept][:, *tile]),
        np.array(kept_axes, np.float32).reshape(-1, AXIS_POINTS, 2),
    )


def _gather(
    reports: ChromosomeSource, which: tuple[int, int], width: float, contrast: Contrast, rng: np.random.Generator
) -> Cluster:
    """Lay chromosomes of a cell into a round spread, tangled or loose, until enough of it is covered."""
    domain, cell = which
    scale = width / reports.width(domain, cell)
    sharp = contrast == "bright_field"
    halo = width * float(rng.uniform(0.04, 0.13) if sharp else rng.uniform(0.08, 0.24))
    tone, flat = float(np.exp(rng.normal(0, 0.25))), float(rng.choice((0.0, rng.uniform(0, 0.9))))
    bends, uneven = rng.uniform(0.0, 0.9), rng.uniform(0.0, _UNEVEN)
    spotted = rng.uniform(*_SPOTS) if rng.random() < _SPOTTED else 0.0
    parted = rng.uniform(0.2, 0.9) if rng.random() < _PARTED else 0.0
    condensed = float(np.exp(rng.uniform(*np.log(_CONDENSED))))
    size = len(reports.domains[domain][cell])

    def lay(heading: float | None, place: float) -> DeformedChromosome | None:
        item = reports.chromosome(domain, cell, int(rng.integers(size)))
        if item is None:
            return None
        course, kink = _winding(item, bends, rng)
        mirrored = bool(rng.random() < 0.5)
        turn = 0.0 if heading is None else _heading(item, course, mirrored, place)
        angle = float(rng.uniform(0, 2 * np.pi)) if heading is None else heading - turn
        stretch = condensed * float(np.exp(rng.normal(0, 0.06)))
        laid = deform_chromosome(
            item, scale=scale, angle=angle, course=course, halo=halo, stretch=stretch, mirrored=mirrored
        )
        body = laid.stain**tone
        if rng.random() < spotted:
            body = body * (1 + _spot(laid, kink if rng.random() < 0.5 else rng.uniform(0.1, 0.9), width, rng))
        if parted:
            body = body * _groove(laid, width, parted * rng.uniform(0.5, 1.0), rng)
        bright = np.float32(np.exp(rng.normal(0, uneven)))
        return DeformedChromosome(
            bright * ((1 - flat) * body + flat * np.minimum(1, 1.6 * laid.stain)), laid.mask, laid.axis
        )

    crowd = Cluster(
        (_SIDE, _SIDE),
        gap=float(rng.uniform(0.05, 0.6)) * width,
        most_covered=float(rng.uniform(0.3, 0.6)),
        most_members=int(rng.integers(2, 10)),
    )
    centre, radius = rng.uniform(0, _SIDE, 2), rng.uniform(6, 20) * width
    clear = rng.uniform(0, 1, 2) * _SIDE  # where the spread lies open: some tiles show its edge

    def somewhere() -> tuple[float, float]:
        angle, distance = rng.uniform(0, 2 * np.pi), radius * np.sqrt(rng.uniform())
        x, y = centre + distance * np.array((np.cos(angle), np.sin(angle)))
        return (
            (float(x), float(y))
            if -30 < x < _SIDE + 30 and -30 < y < _SIDE + 30
            else tuple(clear + rng.normal(0, 60, 2))
        )

    wanted = float(rng.uniform(0.08, 0.45))
    weights = 0.2 * np.eye(len(RELATIONS))[0] + 0.8 * rng.dirichlet(_RELATIONS)
    covered, failed = 0, 0
    reached = np.pi * radius**2
    while failed < 20 and len(crowd.members) < 60 and covered < wanted * min(reached, _SIDE**2):
        relation = RELATIONS[int(rng.choice(len(RELATIONS), p=weights))] if crowd.members else "apart"
        if relation == "apart":
            laid = lay(None, 0.5)
            done = laid is not None and crowd.apart(laid, somewhere)
        else:
            done = crowd.join(relation, lay, width, rng)
        failed = 0 if done else failed + 1
        covered = int(np.count_nonzero(crowd.covers))
    return crowd


def _spot(laid: DeformedChromosome, place: float, width: float, rng: np.random.Generator) -> Grey:
    """How much brighter heterochromatin makes a chromosome about some place along it."""
    x, y = laid.axis[int(place * len(laid.axis))]
    rows, columns = laid.stain.shape
    away = (np.arange(rows)[:, None] - y) ** 2 + (np.arange(columns) - x) ** 2
    spot: Grey = (rng.uniform(0.4, 2.5) * np.exp(-away / (2 * (rng.uniform(0.2, 0.6) * width) ** 2))).astype(np.float32)
    return spot


def _groove(laid: DeformedChromosome, width: float, deep: float, rng: np.random.Generator) -> Grey:
    """What is left of the stain where the chromatids of a chromosome part: all but at the centromere, less and less
    towards the ends."""
    rows, columns = laid.stain.shape
    sides = np.zeros((rows, columns), np.uint8)
    cv2.polylines(sides, [np.round(laid.axis).astype(np.int32)[:, None]], isClosed=False, color=1)
    away = cv2.distanceTransform(1 - sides, cv2.DIST_L2, 3)
    x, y = laid.axis[int(rng.uniform(0.05, 0.95) * len(laid.axis))]
    from_centromere = np.hypot(np.arange(rows)[:, None] - y, np.arange(columns) - x)
    apart = np.clip(from_centromere / (rng.uniform(0.6, 2.0) * width), 0, 1)
    left: Grey = (1 - deep * apart * np.exp(-((away / (rng.uniform(0.1, 0.22) * width)) ** 2))).astype(np.float32)
    return left


def _winding(item: SingleChromosome, bends: float, rng: np.random.Generator) -> tuple[Course, float]:
    """How a chromosome winds beyond its own bends, and where it would be kinked.

    It winds a little mostly, strongly or in a hard kink now and then.
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
    """Of an axis laid about 0 by ``course``, at a place along it."""
    steps = np.gradient(item.axis, axis=0)
    own = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    own = (own - own.mean()) * (-1 if mirrored else 1)
    return float(own[round(place * (len(own) - 1))] + course(np.array([place]))[0])


def _surround(
    stain: Grey, chromosomes: NDArray[np.bool_], width: float, contrast: Contrast, rng: np.random.Generator
) -> None:
    """Add nuclei and debris, mostly beside the chromosomes."""
    taken = chromosomes.copy() if rng.random() < 0.7 else np.zeros_like(chromosomes)
    for _ in range(int(rng.choice(len(_NUCLEI), p=_NUCLEI))):
        nucleus = np.zeros_like(stain)
        size = width * float(np.exp(rng.uniform(*np.log((1.6, 8.0)))))
        add_nuclei(nucleus, taken.copy(), 1, chromosome_length=size, contrast=contrast, rng=rng)
        if rng.random() < 0.4:  # out of focus
            nucleus = blur(nucleus, size * float(rng.uniform(0.03, 0.2)))
        if contrast == "fluorescence":  # many times as bright as chromosomes, until the camera is full
            nucleus *= np.float32(np.exp(rng.uniform(*np.log((0.6, 4.0)))))
        stain += nucleus
    if rng.random() < 0.6:
        add_debris(stain, taken, int(rng.integers(1, 8)), width, rng)


def _normalised(stain: Grey, body: NDArray[np.bool_], contrast: Contrast, rng: np.random.Generator) -> Grey:
    """What ``normalise`` makes of a photograph of the stain, but for the background, which is known but for an error.

    The camera may have had fewer pixels than the canonical scale.
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
    slight = illumination(small.shape, {"vignetting": rng.normal(0, 0.04), "slope": rng.normal(0, 0.04)}, rng) - 1
    signal = np.asarray(cv2.resize(signal, stain.shape, interpolation=cv2.INTER_LINEAR), np.float32)
    level = float(np.median(signal[body])) if body.any() else 0.5
    level = max(level, 0.02) * float(np.exp(rng.normal(0, 0.1)))
    error = cv2.resize(slight, stain.shape, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(signal / level + error, 0, 2), np.float32)


def _cut(inside: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Let the photograph end in the tile, on one side."""
    place = int(rng.integers(_MARGIN, _SIDE - _MARGIN))
    inside = inside.T if rng.random() < 0.5 else inside
    if place < _SIDE // 2:
        inside[: place // 2] = False
    else:
        inside[(place + _SIDE) // 2 :] = False


def _resampled(axis: NDArray[np.float32]) -> NDArray[np.float32]:
    """``POINTS`` points, evenly along an axis (K, 2)."""
    places = np.linspace(0, len(axis) - 1, AXIS_POINTS)
    return np.stack([np.interp(places, np.arange(len(axis)), axis[:, i]) for i in (0, 1)], axis=1).astype(np.float32)
