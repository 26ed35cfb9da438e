"""Recognition of whole chromosomes among regions of simulated metaphases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from karyotyping.classification.embedder import EMBEDDER
from karyotyping.classification.recognise import recognise
from karyotyping.image.normalise import normalise
from karyotyping.segmentation.contours import Contour
from models import registry
from models.engine import load_engine
from training.simulation import simulate
from training.simulation.appearance import Contrast


def half(region: Contour) -> Contour:
    """The half of a region along the longer side of its box."""
    mask = region.mask.copy()
    h, w = mask.shape
    mask[h // 2 :, :] &= w > h
    mask[:, w // 2 :] &= h >= w
    return replace(region, mask=mask)


@pytest.mark.parametrize("contrast", ["bright_field", "fluorescence"])
def test_whole_chromosomes_are_known_and_halves_are_not(contrast: Contrast) -> None:
    cell = simulate("46,XX", seed=3, contrast=contrast, nuclei=0, debris=0)
    image = normalise(cell.pixels)
    whole = [Contour(mask, (0, 0)).clipped(image.stain.shape) for mask in cell.masks]
    engine = load_engine(registry.resolve(EMBEDDER).path, "cpu")
    count = len(whole)
    found = recognise(image, [*whole, *map(half, whole)], range(count), embedder=engine)
    assert found.classes.shape == (2 * count, 24)
    assert found.classes.max() <= 0.0
    for values in (found.confidence, -np.log(found.unknown + 1e-5), found.classes.max(axis=1), found.length):
        assert np.median(values[:count]) > np.median(values[count:])
    assert np.median(found.length[:count]) == pytest.approx(0.0, abs=0.05)
