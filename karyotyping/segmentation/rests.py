"""Rests that no instance explains, each with a name: parts of contours, and annotations.

Every contour ends as a chromosome, as part of one, or as a rest. An isolated contour is a chromosome as soon as
one candidate explains it: no count prior deletes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from karyotyping.arrays import Floats32, Mask
from karyotyping.image.normalise import Normalised
from karyotyping.model import RestKind
from karyotyping.segmentation.contours import Contour, ContourParameters, Contours, connected_regions, find_nuclei
from karyotyping.segmentation.instance_decoding import Candidate
from karyotyping.segmentation.router import NOISE

_RIM = 0.25  # chromosome widths around an instance that it explains
_MIN_AREA = 0.1  # median chromosome areas of a rest
_MIN_CHROMOSOME_AREA = 0.2  # median chromosome areas; a 21 has 0.3 to 0.4
_MIN_NUCLEUS_SHARE = 0.5  # of a region, 0..1, inside a nucleus
_MIN_CANDIDATE_SCORE = 0.3  # 0..1; of G-banded lone candidates below it, one in eleven was a chromosome
_MIN_COVERED = 0.8  # of a lone contour, 0..1, by its candidate
_MIN_WITHIN = 0.5  # of a candidate, 0..1, within its lone contour
_MAX_TAKEN = 0.1  # of a lone contour, 0..1, that instances cover


@dataclass(frozen=True, slots=True)
class Rest:
    """A connected part of a contour that no instance covers, or an annotation."""

    region: Contour
    kind: RestKind

    @property
    def area(self) -> int:
        """Pixels of the region."""
        return self.region.area


def find_rests(
    image: Normalised,
    contours: Contours,
    noise: Sequence[bool],
    instances: Sequence[Contour],
    parameters: ContourParameters,
) -> tuple[Rest, ...]:
    """Return what the instances leave of the contours of one image, and its annotations.

    Args:
        image: the normalised image.
        contours: its N contours.
        noise: (N,) whether the router surely calls a contour noise.
        instances: its chromosomes.
        parameters: stain and radius of nuclei.
    """
    shape = image.stain.shape
    typical = float(np.median([item.area for item in instances])) if instances else contours.typical_area
    taken = np.zeros(shape, bool)
    for item in instances:
        taken[item.pixels(shape)] = True
    rim, min_area = round(_RIM * image.width), _MIN_AREA * typical
    left = [
        (region, core, noisy)
        for contour, noisy in zip(contours.regions, noise, strict=True)
        for region, core in _uncovered(contour, taken, rim, min_area)
    ]
    result = [Rest(region, "annotation") for region in connected_regions(image.annotations, min_area=1)]
    if not left:
        return tuple(result)
    nuclei, _ = find_nuclei(image.stain, image.width, parameters)
    for region, core, noisy in left:
        small = core < _MIN_CHROMOSOME_AREA * typical
        kind: RestKind = "debris" if noisy or small else "uncertain"
        result.append(Rest(region, "nucleus" if region.share_in(nuclei) >= _MIN_NUCLEUS_SHARE else kind))
    return tuple(result)


def is_noise(routes: Floats32 | None, count: int, surely_noise: float) -> list[bool]:
    """Return which of ``count`` contours are noise.

    Args:
        routes: (count, 5) probabilities of the router; None without one.
        count: number of contours.
        surely_noise: least probability of noise.

    >>> is_noise(np.array([[0, 0, 0, 0.99, 0.01], [1, 0, 0, 0, 0]], np.float32), 2, 0.98)
    [True, False]
    """
    return [False] * count if routes is None else [bool(p >= surely_noise) for p in routes[:, NOISE]]


def lone_candidates(
    image: Normalised,
    contours: Sequence[Contour],
    instances: Sequence[Contour],
    candidates: Sequence[Candidate],
    *,
    in_image: Callable[[Sequence[Candidate]], list[Contour]],
    parameters: ContourParameters,
) -> list[tuple[Contour, float]]:
    """Return the best candidate of each isolated contour that has no instance, with its score.

    Args:
        image: the normalised image.
        contours: its contours without noise.
        instances: its selected chromosomes.
        candidates: all of its candidates, in pixels of the maps.
        in_image: returns their regions in pixels of the image.
        parameters: stain and radius of nuclei, whose parts are no chromosomes.
    """
    lone = [
        contour
        for contour in contours
        if sum(contour.overlap_area(item) for item in instances) <= _MAX_TAKEN * contour.area
    ]
    plausible = sorted((item for item in candidates if item.score >= _MIN_CANDIDATE_SCORE), key=lambda c: -c.score)
    if not lone or not plausible:
        return []
    nuclei, _ = find_nuclei(image.stain, image.width, parameters)
    regions = in_image(plausible)
    result = []
    for contour in lone:
        if contour.share_in(nuclei) >= _MIN_NUCLEUS_SHARE:
            continue
        for region, candidate in zip(regions, plausible, strict=True):
            shared = contour.overlap_area(region)
            if shared >= _MIN_COVERED * contour.area and shared >= _MIN_WITHIN * region.area:
                result.append((region, candidate.score))
                break
    return result


def _uncovered(contour: Contour, taken: Mask, rim: int, min_area: float) -> list[tuple[Contour, int]]:
    """Return the free parts of a contour, and their area beyond ``rim`` of what is taken."""
    margin = rim + 1
    x, y = contour.origin[0] - margin, contour.origin[1] - margin
    frame = Contour(np.pad(contour.mask, margin), (x, y))
    in_image, in_crop = frame.window(taken.shape)
    covered = np.zeros(frame.mask.shape, np.uint8)
    covered[in_crop] = taken[in_image]
    if np.count_nonzero(frame.mask & (covered == 0)) < min_area:
        return []
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1))
    left = frame.mask & (cv2.dilate(covered, disc) == 0)
    result = []
    for core in connected_regions(left, min_area):
        near = cv2.dilate(core.full_mask(frame.mask.shape).astype(np.uint8), disc) > 0
        part = max(connected_regions(near & frame.mask & (covered == 0), min_area=1), key=core.overlap_area)
        result.append((Contour(part.mask, (part.origin[0] + x, part.origin[1] + y)), core.area))
    return result
