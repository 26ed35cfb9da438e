"""QC metrics change in the direction that a cytogeneticist expects."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.image.normalise import normalise
from karyotyping.model import CellAnalysis, RestKind
from karyotyping.pipeline import Pipeline
from karyotyping.quality import measure_crop_quality, measure_quality
from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.rests import Rest
from karyotyping.segmentation.result import Segmentation
from training.simulation import simulate


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return simulate("46,XY", seed=0, contrast="fluorescence").pixels


@pytest.fixture(scope="module")
def sharp(pixels: NDArray[np.uint8]) -> CellAnalysis:
    return Pipeline.default("cpu").analyse(pixels)


def test_a_good_cell_has_no_flags_of_defects(sharp: CellAnalysis) -> None:
    quality = sharp.quality
    assert quality.contrast_polarity == "light_on_dark"
    assert quality.chromosome_count == len(sharp.chromosomes)
    assert not quality.flags & {"too_few", "too_many", "low_contrast", "out_of_focus"}
    assert 0.0 < quality.score <= 1.0
    assert quality.spread > 1.0


def test_blur_lowers_focus_and_score(pixels: NDArray[np.uint8], sharp: CellAnalysis) -> None:
    blurred = np.asarray(cv2.GaussianBlur(pixels, (0, 0), 3.0), np.uint8)
    quality = Pipeline.default("cpu").analyse(blurred).quality
    assert quality.focus < 0.7 * sharp.quality.focus
    assert quality.score < sharp.quality.score


def test_half_a_cell_is_flagged_too_few(pixels: NDArray[np.uint8], sharp: CellAnalysis) -> None:
    quality = Pipeline.default("cpu").analyse(pixels[:, : pixels.shape[1] // 2]).quality
    assert "too_few" in quality.flags
    assert quality.score < sharp.quality.score


def test_crop_quality_depends_on_count_wholeness_and_classes(sharp: CellAnalysis) -> None:
    quality = measure_crop_quality(sharp.chromosomes)
    assert quality.class_confidence == sharp.quality.class_confidence
    assert quality.score >= sharp.quality.score
    fewer = measure_crop_quality(sharp.chromosomes[:20])
    assert fewer.score < quality.score / 10
    assert "too_few" in fewer.flags
    assert measure_crop_quality([]).score == 0


@pytest.mark.parametrize(("kinds", "count"), [(["uncertain", "debris", "uncertain"], 2), (["debris", "nucleus"], 0)])
def test_only_uncertain_rests_are_unexplained(pixels: NDArray[np.uint8], kinds: list[RestKind], count: int) -> None:
    spot = Contour(np.ones((5, 5), bool), (9, 9))
    rests = tuple(Rest(spot, kind) for kind in kinds)
    segmentation = Segmentation((), nucleus_count=0, debris_count=0, cluster_count=0, overlap_count=0, rests=rests)
    quality = measure_quality(normalise(pixels), segmentation, [])
    assert quality.unexplained_objects == count
    assert ("unexplained_objects" in quality.flags) is (count > 0)
