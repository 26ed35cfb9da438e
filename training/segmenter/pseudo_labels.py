"""Pseudo-labels: samples cut out of metaphase images without annotations (self-training).

A chromosome that the segmenter detects in most orientations of an image becomes a label. Regions that fewer
orientations detect are unknown: they count neither as chromosome nor as background. (KaryoXpert, Chen et al. 2024,
section 3.2.3, takes noise alone from such images.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
from karyotyping.image.orientation import ORIENTATIONS, orient_planes, restore_orientation
from karyotyping.model import decode_mask, encode_mask
from karyotyping.segmentation.agreement import AgreementParameters
from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.instance_decoding import TRAINING_TILE_SIDE
from karyotyping.segmentation.result import StreamParameters
from karyotyping.segmentation.stream import Networks, segment
from training.common.progress import Log, append_json_line
from training.segmenter.consensus import Consensus, find_consensus
from training.segmenter.sample import AXIS_POINTS, Sample, Stream, orient

_MASK_LEVEL = 0.5  # least probability of a label's pixel; a lower one makes the masks of the next network wider
_MIN_LABEL_SHARE = 0.75  # share of orientations, 0..1, from which a region is a label
_MAX_BACKGROUND_SHARE = 0.2  # share of orientations, 0..1, up to which a region is background; between both: unknown
_MIN_AREA = 0.5 * CANONICAL_WIDTH**2  # px at canonical scale, of a chromosome or its visible part
_CENTRE_JITTER = 60.0  # px between the centre of a tile and that of a chromosome, at most, along each axis
_UNKNOWN_MARGIN = np.ones((7, 7), np.uint8)
"""Structuring element that widens unknown regions."""
_SMALL_ZOOM, _LARGE_ZOOM = 0.16, 0.5
"""Largest absolute logarithm of the zoom, for each half of the samples."""


@dataclass(frozen=True, slots=True)
class LabelledChromosome:
    """Chromosome that most orientations agree on, in the pixels of the image."""

    region: Contour
    axis: NDArray[np.float32]
    """(AXIS_POINTS, 2) x, y along the medial axis."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """Metaphase image with its pseudo-labels."""

    image: Normalised
    chromosomes: tuple[LabelledChromosome, ...]
    unknown: NDArray[np.bool_]
    """(H, W) regions that only some orientations detect."""


def label_images(files: Sequence[Path], networks: Networks, cache: Path, log: Log) -> list[LabelledImage]:
    """Return the metaphase images that have labels.

    Args:
        files: image files; other files are skipped and logged.
        networks: networks that detect the chromosomes.
        cache: file of JSON lines with the consensus of each image; images in it are not segmented again.
        log: receives lines of progress.
    """
    cached = _read_cache(cache)
    result = []
    for number, file in enumerate(files, start=1):
        try:
            pixels = decode(file.read_bytes()).pixels
        except ImageRejected as problem:
            log(f"{file.name}: {problem.sentence}")
            continue
        if str(file) not in cached:
            cached[str(file)] = [
                {"share": item.share, "segmentation": encode_mask(item.region.full_mask(pixels.shape))}
                for item in find_consensus(predict_orientations(pixels, networks))
            ]
            append_json_line(cache, {"file": str(file), "told": cached[str(file)]})
        consensus = [
            Consensus(_outline(decode_mask(item["segmentation"])), item["share"]) for item in cached[str(file)]
        ]
        labelled = accept_consensus(consensus, normalise(pixels))
        log(f"{number}/{len(files)} {file.name}: {len(labelled.chromosomes)} chromosomes detected in most orientations")
        if labelled.chromosomes:
            result.append(labelled)
    return result


def _read_cache(file: Path) -> dict[str, Any]:
    """Return the consensus by image file; an incomplete last line is removed from the cache."""
    written = file.read_text("utf-8") if file.exists() else ""
    whole = written[: written.rfind("\n") + 1]
    if whole != written:
        file.write_text(whole, "utf-8")
    return {line["file"]: line["told"] for line in map(json.loads, whole.splitlines())}


def predict_orientations(pixels: Pixels, networks: Networks) -> list[list[Contour]]:
    """Segment an image in each of its orientations.

    Args:
        pixels: (H, W) image.
        networks: networks of the stream.

    Returns:
        Detections in each orientation, in the pixels of the image.
    """
    parameters = StreamParameters()
    decoding, one_vote = replace(parameters.decoding, inside=_MASK_LEVEL), AgreementParameters(turns=(0,))
    parameters = replace(parameters, decoding=decoding, agreement=one_vote)
    detections = []
    for turn in range(ORIENTATIONS):
        image = normalise(orient_planes(pixels, turn))
        instances = segment(image, networks, parameters).instances
        detections.append(
            [_outline(restore_orientation(item.full_mask(image.stain.shape), turn)) for item in instances]
        )
    return detections


def _outline(mask: NDArray[np.bool_]) -> Contour:
    """Return the region of a mask (H, W)."""
    return Contour(mask, (0, 0)).clipped(mask.shape)


def accept_consensus(consensus: Sequence[Consensus], image: Normalised) -> LabelledImage:
    """Return an image with the regions that most orientations agree on as labels."""
    unknown = np.zeros(image.stain.shape, bool)
    chromosomes = []
    for item in consensus:
        if item.share >= _MIN_LABEL_SHARE:
            axis = _axis(item.region, 1.0 / image.scale)
            chromosomes += [] if axis is None else [LabelledChromosome(item.region, axis)]
        elif item.share > _MAX_BACKGROUND_SHARE:
            unknown[item.region.pixels(unknown.shape)] = True
    return LabelledImage(image, tuple(chromosomes), unknown)


def _axis(region: Contour, zoom: float) -> NDArray[np.float32] | None:
    """Return the medial axis (AXIS_POINTS, 2); None if the region is too small.

    Args:
        region: region in the image.
        zoom: factor from the image to canonical scale.
    """
    mask = cv2.resize(region.mask.astype(np.float32), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR) > 0.5
    if np.count_nonzero(mask) < _MIN_AREA:
        return None
    path = medial_axis(largest_part(mask))
    along = arc_length(path)
    even = np.linspace(0, along[-1], AXIS_POINTS)
    points = np.stack([np.interp(even, along, path.real), np.interp(even, along, path.imag)], axis=1)
    return np.asarray((points + 0.5) / zoom - 0.5 + region.origin, np.float32)


def interleave(simulated: Stream, labelled: Sequence[LabelledImage], seed: int) -> Stream:
    """Return a stream in which every second sample is cut out of a labelled image.

    Args:
        simulated: stream of the other samples.
        labelled: images to cut samples out of.
        seed: seed of the choice of image and tile.
    """

    def stream(start: int) -> Iterator[Sample]:
        samples = simulated(start - start // 2)
        for number in count(start):
            if number % 2 == 0:
                yield next(samples)
            else:
                rng = np.random.default_rng((seed, number))
                yield cut_sample(labelled[int(rng.integers(len(labelled)))], rng)

    return stream


def cut_sample(labelled: LabelledImage, rng: np.random.Generator) -> Sample:
    """Cut out a tile near a labelled chromosome, at random zoom, exposure and orientation."""
    image, size = labelled.image, (TRAINING_TILE_SIDE, TRAINING_TILE_SIDE)
    max_zoom = _SMALL_ZOOM if rng.random() < 0.5 else _LARGE_ZOOM
    zoom = float(np.exp(rng.uniform(-max_zoom, max_zoom))) / image.scale
    centre = labelled.chromosomes[rng.integers(len(labelled.chromosomes))].axis.mean(axis=0)
    corner = zoom * centre - TRAINING_TILE_SIDE / 2 + rng.uniform(-_CENTRE_JITTER, _CENTRE_JITTER, 2)
    to_tile = np.array([[zoom, 0, -corner[0]], [0, zoom, -corner[1]]])
    source = image.stain if zoom >= 1 else cv2.GaussianBlur(image.stain, (0, 0), 0.35 / zoom)
    stain = _augment(np.asarray(cv2.warpAffine(source, to_tile, size, flags=cv2.INTER_LINEAR), np.float32), rng)
    stain *= cv2.warpAffine(np.ones_like(image.stain), to_tile, size, flags=cv2.INTER_NEAREST)
    unknown = cv2.warpAffine(labelled.unknown.astype(np.uint8), to_tile, size, flags=cv2.INTER_NEAREST)
    masks, axes = [], []
    for item in labelled.chromosomes:
        from_region = to_tile.copy()
        from_region[:, 2] += zoom * np.array(item.region.origin)
        mask = cv2.warpAffine(item.region.mask.astype(np.float32), from_region, size, flags=cv2.INTER_LINEAR) > 0.5
        if np.count_nonzero(mask) >= _MIN_AREA:
            masks.append(mask)
            axes.append(zoom * item.axis - corner)
    sample = Sample(
        stain,
        np.array(masks, bool).reshape(-1, *size),
        np.array(axes, np.float32).reshape(-1, AXIS_POINTS, 2),
        cv2.dilate(unknown, _UNKNOWN_MARGIN) == 0,
    )
    return orient(sample, int(rng.integers(ORIENTATIONS)))


def _augment(stain: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a stain (H, W) with random exposure, contrast and noise, sometimes blurred."""
    result = rng.uniform(0.8, 1.25) * np.clip(stain, 0, 2) ** rng.uniform(0.7, 1.4)
    result += rng.normal(0, rng.uniform(0, 0.03), result.shape)
    if rng.random() < 0.3:
        cv2.GaussianBlur(result, (0, 0), rng.uniform(0.4, 1.0), dst=result)
    return np.asarray(np.clip(result, 0, 2), np.float32)
