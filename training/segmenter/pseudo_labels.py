"""Fields out of real photographs in which nobody has drawn.

What the segmenter tells however a photograph is turned is taken as true, and it learns from that what it tells only
sometimes (self-training; the raw metaphases of KaryoXpert, Chen et al. 2024, section 3.2.3, gave it noise alone). What
the looks do not agree on counts neither for nor against it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Pixels
from karyotyping.chromosome.medial_axis import arc_length, largest_part, medial_axis
from karyotyping.image.decode import ImageRejected, decode
from karyotyping.image.normalise import CANONICAL_WIDTH, Normalised, normalise
from karyotyping.model import decode_mask, encode_mask
from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.instance_decoding import TRAINING_TILE_SIDE
from karyotyping.segmentation.result import StreamParameters
from karyotyping.segmentation.stream import Networks, segment
from training.segmenter.consensus import Consensus, find_consensus
from training.segmenter.sample import (
    AXIS_POINTS,
    ORIENTATIONS,
    Sample,
    Stream,
    orient,
    orient_planes,
    restore_orientation,
)

_SURE, _DOUBTED = 0.75, 0.2
"""What this share of the looks tells is true; what fewer do, but more than this one, is neither true nor wrong."""
_SMALLEST = 0.5 * CANONICAL_WIDTH**2
"""Pixels of a chromosome, or of what is left of one in a field, at least."""
_ASTRAY = 60.0
"""Pixels that the middle of a field may be away from that of a chromosome."""
_ABOUT = np.ones((7, 7), np.uint8)
"""How far about what is doubted nothing is known."""
_TYPICAL, _FARTHEST = 0.16, 0.5
"""Half of the fields are shown larger or smaller by up to the first, half by up to the second: logarithms."""


@dataclass(frozen=True, slots=True)
class LabelledChromosome:
    """What all looks agree on."""

    region: Contour
    """In the pixels of the photograph, as is the axis."""
    axis: NDArray[np.float32]
    """(POINTS, 2): x, y"""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """A photograph, and what its looks tell of it."""

    image: Normalised
    chromosomes: tuple[LabelledChromosome, ...]
    doubted: NDArray[np.bool_]
    """(H, W)"""


def label_images(
    files: Sequence[Path], networks: Networks, kept: Path, say: Callable[[str], None]
) -> list[LabelledImage]:
    """The photographs in ``files`` in which a chromosome is told whatever way they are turned.

    Args:
        files: what is no photograph is left out, and said.
        networks: that tell.
        kept: a line of JSON for each file; those that it holds already are not looked at again.
        say: told of each file.
    """
    told = _kept(kept)
    result = []
    for number, file in enumerate(files, start=1):
        try:
            pixels = decode(file.read_bytes()).pixels
        except ImageRejected as problem:
            say(f"{file.name}: {problem.sentence}")
            continue
        if str(file) not in told:
            found = find_consensus(predict_orientations(pixels, networks))
            told[str(file)] = [
                {"share": item.share, "segmentation": encode_mask(item.region.full_mask(pixels.shape))}
                for item in found
            ]
            with kept.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"file": str(file), "told": told[str(file)]}) + "\n")
        found = [Consensus(_outline(decode_mask(item["segmentation"])), item["share"]) for item in told[str(file)]]
        labelled = accept_consensus(found, normalise(pixels))
        say(
            f"{number}/{len(files)} {file.name}: {len(labelled.chromosomes)} chromosomes told whatever way it is turned"
        )
        if labelled.chromosomes:
            result.append(labelled)
    return result


def _kept(path: Path) -> dict[str, Any]:
    """What is told of each file so far; a line that somebody broke off is dropped."""
    written = path.read_text("utf-8") if path.exists() else ""
    whole = written[: written.rfind("\n") + 1]
    if whole != written:
        path.write_text(whole, "utf-8")
    return {line["file"]: line["told"] for line in map(json.loads, whole.splitlines())}


def predict_orientations(pixels: Pixels, networks: Networks) -> list[list[Contour]]:
    """What the stream tells of a photograph in each of its orientations, in the photograph's own pixels."""
    found = []
    for turn in range(ORIENTATIONS):
        image = normalise(orient_planes(pixels, turn))
        told = segment(image, networks, StreamParameters()).instances
        found.append([_outline(restore_orientation(item.full_mask(image.stain.shape), turn)) for item in told])
    return found


def _outline(mask: NDArray[np.bool_]) -> Contour:
    return Contour(mask, (0, 0)).clipped(mask.shape)


def accept_consensus(found: Sequence[Consensus], image: Normalised) -> LabelledImage:
    """A photograph with what is ``found`` in it."""
    doubted = np.zeros(image.stain.shape, bool)
    chromosomes = []
    for item in found:
        if item.share >= _SURE:
            axis = _axis(item.region, 1.0 / image.scale)
            chromosomes += [] if axis is None else [LabelledChromosome(item.region, axis)]
        elif item.share > _DOUBTED:
            doubted[item.region.pixels(doubted.shape)] = True
    return LabelledImage(image, tuple(chromosomes), doubted)


def _axis(region: Contour, zoom: float) -> NDArray[np.float32] | None:
    """The medial axis as it is at canonical scale; None of what is too small."""
    mask = cv2.resize(region.mask.astype(np.float32), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR) > 0.5
    if np.count_nonzero(mask) < _SMALLEST:
        return None
    path = medial_axis(largest_part(mask))
    along = arc_length(path)
    even = np.linspace(0, along[-1], AXIS_POINTS)
    points = np.stack([np.interp(even, along, path.real), np.interp(even, along, path.imag)], axis=1)
    return np.asarray((points + 0.5) / zoom - 0.5 + region.origin, np.float32)


def interleave(drawn: Stream, labelled: Sequence[LabelledImage], seed: int) -> Stream:
    """The fields that are ``drawn``, and after each of them one out of a photograph."""

    def stream(start: int) -> Iterator[Sample]:
        fields = drawn(start - start // 2)
        for number in count(start):
            if number % 2 == 0:
                yield next(fields)
            else:
                rng = np.random.default_rng((seed, number))
                yield cut_sample(labelled[int(rng.integers(len(labelled)))], rng)

    return stream


def cut_sample(labelled: LabelledImage, rng: np.random.Generator) -> Sample:
    """A field about one of the chromosomes, larger or smaller and exposed a little otherwise than the photograph."""
    image, size = labelled.image, (TRAINING_TILE_SIDE, TRAINING_TILE_SIDE)
    reach = _TYPICAL if rng.random() < 0.5 else _FARTHEST
    zoom = float(np.exp(rng.uniform(-reach, reach))) / image.scale
    about = labelled.chromosomes[rng.integers(len(labelled.chromosomes))].axis.mean(axis=0)
    corner = zoom * about - TRAINING_TILE_SIDE / 2 + rng.uniform(-_ASTRAY, _ASTRAY, 2)
    into = np.array([[zoom, 0, -corner[0]], [0, zoom, -corner[1]]])
    source = image.stain if zoom >= 1 else cv2.GaussianBlur(image.stain, (0, 0), 0.35 / zoom)
    stain = _exposed(np.asarray(cv2.warpAffine(source, into, size, flags=cv2.INTER_LINEAR), np.float32), rng)
    stain *= cv2.warpAffine(np.ones_like(image.stain), into, size, flags=cv2.INTER_NEAREST)
    doubted = cv2.warpAffine(labelled.doubted.astype(np.uint8), into, size, flags=cv2.INTER_NEAREST)
    masks, axes = [], []
    for item in labelled.chromosomes:
        place = into.copy()
        place[:, 2] += zoom * np.array(item.region.origin)
        mask = cv2.warpAffine(item.region.mask.astype(np.float32), place, size, flags=cv2.INTER_LINEAR) > 0.5
        if np.count_nonzero(mask) >= _SMALLEST:
            masks.append(mask)
            axes.append(zoom * item.axis - corner)
    field = Sample(
        stain,
        np.array(masks, bool).reshape(-1, *size),
        np.array(axes, np.float32).reshape(-1, AXIS_POINTS, 2),
        cv2.dilate(doubted, _ABOUT) == 0,
    )
    return orient(field, int(rng.integers(ORIENTATIONS)))


def _exposed(stain: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Brighter or darker, with more or less contrast, noisier, and some blurred."""
    seen = rng.uniform(0.8, 1.25) * np.clip(stain, 0, 2) ** rng.uniform(0.7, 1.4)
    seen += rng.normal(0, rng.uniform(0, 0.03), seen.shape)
    if rng.random() < 0.3:
        cv2.GaussianBlur(seen, (0, 0), rng.uniform(0.4, 1.0), dst=seen)
    return np.asarray(np.clip(seen, 0, 2), np.float32)
