"""Every contour ends as a chromosome, as part of one, or as a rest with a name."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
import pytest

from karyotyping.arrays import Mask
from karyotyping.image.normalise import Normalised, normalise
from karyotyping.pipeline import Pipeline
from karyotyping.segmentation.contours import Contour, ContourParameters, Contours, connected_regions, find_contours
from karyotyping.segmentation.instance_decoding import Candidate
from karyotyping.segmentation.rests import Rest, find_rests, lone_candidates
from karyotyping.segmentation.result import StreamParameters
from training.simulation import simulate

PARAMETERS = StreamParameters()
SHAPE = (300, 460)


def rods() -> list[Contour]:
    """Return twelve rods of 12 by 40 pixels."""
    return [Contour(np.pad(np.ones((40, 12), bool), 1), (33 + 50 * (k % 6), 39 + 90 * (k // 6))) for k in range(12)]


def draw(*, nucleus: bool = False, specks: int = 0) -> Normalised:
    """Return an image of the rods, a nucleus 90 px wide, and specks 10 px wide."""
    stain = np.zeros(SHAPE, np.float32)
    for rod in rods():
        stain[rod.pixels(SHAPE)] = 1.0
    if nucleus:
        cv2.circle(stain, (395, 100), 45, 1.5, -1)
    for k in range(specks):
        cv2.circle(stain, (30 + 60 * k, 270), 5, 1.0, -1)
    noise = np.random.default_rng(0).normal(0.0, 1.0, SHAPE)
    return normalise(np.clip(15 + 110 * cv2.GaussianBlur(stain, (0, 0), 1.0) + noise, 0, 255).astype(np.uint8))


def test_an_annotation_is_a_rest() -> None:
    image = draw()
    image.annotations[280:290, 300:420] = True
    (rest,) = rests_of(image, rods())
    assert rest.kind == "annotation"
    assert rest.area == 1200


def contours_of(image: Normalised) -> Contours:
    return find_contours(image, PARAMETERS.looked_at)


def rests_of(
    image: Normalised, instances: list[Contour], *, found: Contours | None = None, noise: bool = False
) -> tuple[Rest, ...]:
    found = found or contours_of(image)
    return find_rests(image, found, [noise] * len(found.regions), instances, PARAMETERS.contours)


@pytest.mark.parametrize("contrast", ["bright_field", "fluorescence"])
@pytest.mark.parametrize("count", [40, 45, 50])
def test_a_removed_instance_leaves_an_uncertain_rest(
    contrast: Literal["bright_field", "fluorescence"], count: int
) -> None:
    copies = dict.fromkeys(range(1, 23), 2) | {23: 1}
    copies |= dict.fromkeys(range(1, 6), 1) if count == 40 else {}
    copies |= dict.fromkeys(range(1, 6), 3) if count == 50 else {}
    cell = simulate(copies, seed=3, contrast=contrast, nuclei=0, debris=0, shape=(1000, 1200))
    assert len(cell.masks) == count
    image = normalise(cell.pixels)
    found = contours_of(image)
    instances = [connected_regions(mask)[0] for mask in cell.masks]
    assert rests_of(image, instances, found=found) == ()
    for k in range(0, count, 7):
        (rest,) = rests_of(image, instances[:k] + instances[k + 1 :], found=found)
        covered = rest.region.full_mask(cell.pixels.shape) & cell.masks[k]
        assert rest.kind == "uncertain"
        assert covered.sum() > 0.9 * rest.area
        assert covered.sum() > 0.5 * cell.masks[k].sum()


def test_a_nucleus_and_a_speck_have_their_kinds() -> None:
    image = draw(nucleus=True, specks=3)
    for missing in (0, 2):
        kinds = Counter(rest.kind for rest in rests_of(image, rods()[missing:]))
        assert kinds["nucleus"] > 0
        assert (kinds["debris"], kinds["uncertain"]) == (3, missing)


def test_a_contour_that_the_router_calls_noise_is_debris() -> None:
    kinds = [rest.kind for rest in rests_of(draw(), rods()[1:], noise=True)]
    assert kinds == ["debris"]


def test_part_of_a_contour_is_a_rest_and_the_rim_of_an_instance_is_none() -> None:
    image, whole = draw(), rods()
    thinner = [replace(rod, mask=cv2.erode(rod.mask.astype(np.uint8), np.ones((3, 3))) > 0) for rod in whole]
    assert rests_of(image, thinner) == ()
    half: Mask = whole[0].mask.copy()
    half[21:] = False
    (rest,) = rests_of(image, [replace(whole[0], mask=half), *whole[1:]])
    assert rest.kind == "uncertain"
    assert 0.25 * 480 < rest.area < 0.5 * 480


@pytest.mark.parametrize(
    ("score", "length", "instance", "kept"),
    [(0.35, 40, False, True), (0.25, 40, False, False), (0.35, 20, False, False), (0.35, 40, True, False)],
)
def test_a_contour_that_stands_alone_keeps_a_plausible_candidate(
    score: float, length: int, instance: bool, kept: bool
) -> None:
    image, whole = draw(), rods()
    mask: Mask = np.pad(np.ones((length, 12), bool), 1)
    candidate = Candidate(Contour(mask, whole[0].origin), 2.0 * mask - 1, score, (0, 0))
    found = lone_candidates(
        image,
        contours_of(image).regions,
        whole if instance else whole[1:],
        [candidate, replace(candidate, score=0.31)] if score > 0.31 else [candidate],
        in_image=lambda items: [item.region for item in items],
        parameters=PARAMETERS.contours,
    )
    assert found == ([(candidate.region, score)] if kept else [])


def test_a_nucleus_that_stands_alone_is_no_chromosome() -> None:
    image = draw(nucleus=True)
    regions = contours_of(image).regions
    nucleus = max(regions, key=lambda region: region.area)
    candidate = Candidate(nucleus, 2.0 * nucleus.mask - 1, 0.9, (0, 0))
    for parameters, count in ((PARAMETERS.contours, 0), (ContourParameters(nuclei=()), 1)):
        found = lone_candidates(
            image,
            regions,
            rods(),
            [candidate],
            in_image=lambda items: [item.region for item in items],
            parameters=parameters,
        )
        assert len(found) == count


@pytest.mark.parametrize("contrast", ["bright_field", "fluorescence"])
def test_separate_chromosomes_are_counted_exactly_and_explained(
    contrast: Literal["bright_field", "fluorescence"],
) -> None:
    copies = dict.fromkeys(range(1, 24), 2)
    cells = [copies | {1: 1, 2: 1}, copies | {23: 1}, copies, copies | {21: 3}]
    pixels = [simulate(cell, seed=1, contrast=contrast, nuclei=0, debris=0, shape=(900, 1100)).pixels for cell in cells]
    found = Pipeline.default("cpu").analyse_batch(pixels)
    qualities = [cell.quality for cell in found if not isinstance(cell, Exception)]
    assert [quality.chromosome_count for quality in qualities] == [44, 45, 46, 47]
    assert [quality.unexplained_objects for quality in qualities] == [0, 0, 0, 0]
