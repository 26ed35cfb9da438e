"""Accuracy of the medial axis, the band profile and the centromere on simulated chromosomes.

    python -m benchmarks.accuracy.straightening [CHROMOSOMES]

Chromosomes with a known axis are drawn from the ideogram, blurred, given noise, segmented again and measured.

Output: a table with a row for each kind of axis:

* the distance between measured and true axis, both ways, in widths of the chromosome;
* the share of broken axes, whose length is off by more than a tenth;
* the correlation of the straightened profile with the true one;
* the error of the centromere, as a fraction of the length;
* chromosomes per second of CPU time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.chromosome.crop import Crop, segment_crop
from karyotyping.chromosome.measure import PROFILE_SAMPLES, Measurement, measure
from karyotyping.chromosome.medial_axis import Path, arc_length, cross_sections, resample
from training.simulation.appearance import Appearance, draw_values
from training.simulation.axis import Course
from training.simulation.chromosome import Patch, draw_chromosome

_FRAME = 8  # px around the chromosome
_BLUR = 1.0  # px, of the microscope
_NOISE = 1.5  # grey levels of 0..255, of the camera


def arc(turn: float) -> Course:
    """Return a course of constant curvature; ``turn`` in degrees."""
    return lambda u: np.radians(turn) * (u - 0.5)


def s_shape(turn: float) -> Course:
    """Return a course of two opposite bends; ``turn`` in degrees."""
    return lambda u: np.radians(turn) * np.sin(np.pi * u)


def hairpin(turn: float, place: float, tightness: float) -> Course:
    """Return a course that is folded at one place, 0..1 of its length; ``turn`` in degrees."""
    return lambda u: np.radians(turn) / 2 * np.tanh((u - place) * tightness)


COURSES: dict[str, Callable[[np.random.Generator], Course]] = {
    "straight": lambda rng: arc(rng.uniform(-20, 20)),
    "30-90": lambda rng: arc(rng.uniform(30, 90)),
    ">90": lambda rng: arc(rng.uniform(90, 170)),
    "S": lambda rng: s_shape(rng.uniform(60, 150)),
    "hairpin": lambda rng: hairpin(rng.uniform(150, 185), rng.uniform(0.35, 0.65), rng.uniform(6, 14)),
}
"""Courses by kind."""


@dataclass(frozen=True, slots=True)
class Truth:
    """A segmented chromosome, and the axis, width, centromere and profile that were drawn."""

    crop: Crop
    axis: Path
    width: float
    centromere: float
    profile: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Score:
    """Errors of one measured chromosome; the centromere's is None where none was found."""

    distances: NDArray[np.float64]
    broken: bool
    correlation: float
    centromere: float | None


def simulate_chromosome(kind: str, rng: np.random.Generator) -> Truth:
    """Draw and segment a chromosome with an axis of a kind; only the longer classes bend."""
    class_id = int(rng.integers(1, 25)) if kind == "straight" else int(rng.choice([*range(1, 13), 23]))
    cell = draw_values(Appearance(), rng)
    patch = draw_chromosome(class_id, rng, cell=cell, course=COURSES[kind](rng))
    stain = cv2.copyMakeBorder(patch.stain, *4 * (_FRAME,), cv2.BORDER_CONSTANT, value=0)
    grey = cv2.GaussianBlur(235 * 10 ** (-0.5 * stain), (0, 0), _BLUR) + rng.normal(0, _NOISE, stain.shape)
    crop = segment_crop(np.clip(np.round(grey), 0, 255).astype(np.uint8))
    margin = (crop.mask.shape[0] - patch.mask.shape[0]) // 2
    axis, centromere = _extend_axis(patch, cell["width"])
    axis = resample(axis + complex(margin, margin), 1.0)
    inner = cross_sections(crop.stain, axis, round(0.3 * cell["width"])).mean(axis=1)
    places = np.linspace(0, len(inner) - 1, PROFILE_SAMPLES)
    return Truth(crop, axis, cell["width"], centromere, np.interp(places, np.arange(len(inner)), inner))


def _extend_axis(patch: Patch, width: float) -> tuple[Path, float]:
    """Return the drawn axis up to the tips of the body, and the centromere as a fraction of it."""
    axis: Path = patch.axis.astype(np.float64).view(np.complex128)[:, 0]
    rows, columns = np.nonzero(patch.mask)
    body = columns + 1j * rows
    tips = []
    for tip, inner in ((axis[0], axis[4]), (axis[-1], axis[-5])):
        outwards = (tip - inner) / abs(tip - inner)
        beyond = (body[np.abs(body - tip) < 0.8 * width] - tip) * np.conj(outwards)
        tips.append(tip + outwards * max(float(beyond.real.max(initial=0.0)), 0.1))
    longer = np.concatenate([[tips[0]], axis, [tips[1]]])
    along = arc_length(longer)
    return longer, float(along[patch.centromere + 1] / along[-1])


def score(truth: Truth, measured: Measurement) -> Score:
    """Compare a measurement with the truth."""
    found: Path = np.ascontiguousarray(measured.axis).view(np.complex128)[:, 0]
    if abs(found[0] - truth.axis[0]) + abs(found[-1] - truth.axis[-1]) > abs(found[-1] - truth.axis[0]) + abs(
        found[0] - truth.axis[-1]
    ):
        found, measured = found[::-1], measured.rotated()
    apart = np.abs(found[:, None] - truth.axis)
    length = float(arc_length(truth.axis)[-1])
    return Score(
        distances=np.concatenate([apart.min(axis=0), apart.min(axis=1)]) / truth.width,
        broken=abs(measured.length - length) > 0.1 * length,
        correlation=float(np.corrcoef(measured.density, truth.profile)[0, 1]),
        centromere=None if measured.centromere is None else abs(measured.centromere - truth.centromere),
    )


def main(count: int) -> None:
    """Measure ``count`` chromosomes of each kind, on one thread."""
    cv2.setNumThreads(1)
    columns = ("course", "mean", "95 %", "broken", "profile", "centromere", "90 %", "found", "per second")
    print("".join(f"{name:>12}" for name in columns))
    for kind in COURSES:
        rng = np.random.default_rng(1)
        truths = [simulate_chromosome(kind, rng) for _ in range(count)]
        start = time.process_time()
        found = [
            measure(truth.crop.stain / np.median(truth.crop.stain[truth.crop.mask]), truth.crop.mask, truth.width)
            for truth in truths
        ]
        rate = count / (time.process_time() - start)
        scores = [score(truth, measured) for truth, measured in zip(truths, found, strict=True)]
        distances = np.concatenate([item.distances for item in scores])
        errors = [item.centromere for item in scores if item.centromere is not None]
        print(
            f"{kind:>12}{distances.mean():>12.3f}{np.percentile(distances, 95):>12.3f}"
            f"{np.mean([item.broken for item in scores]):>12.1%}{np.mean([item.correlation for item in scores]):>12.3f}"
            f"{np.median(errors):>12.3f}{np.percentile(errors, 90):>12.3f}{len(errors) / count:>12.1%}{rate:>12.0f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
