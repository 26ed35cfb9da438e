"""Cells of chromosomes drawn from ideograms, measured, with their true classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from karyotyping.chromosome.measure import Measurement, measure
from karyotyping.model import Chromosome, Orientation, encode_mask
from karyotyping.nomenclature.ideogram import Resolution
from training.simulation.appearance import Appearance, draw_values
from training.simulation.chromosome import draw_chromosome


def draw_cell(
    class_ids: Sequence[int],
    *,
    seed: int,
    resolution: Resolution,
    appearance: Mapping[str, float],
    orientation: Orientation = "unknown",
) -> tuple[tuple[Chromosome, ...], tuple[Measurement, ...]]:
    """Return the chromosomes of a cell and their measurements, longest first.

    Args:
        class_ids: 1..24, of each chromosome.
        seed: of the drawing.
        resolution: bands of the haploid set.
        appearance: values of ``Appearance`` that are not drawn at random.
        orientation: that the chromosomes are said to have.
    """
    rng = np.random.default_rng(seed)
    drawn = draw_values(Appearance(), rng) | appearance
    pairs = []
    for class_id in class_ids:
        patch = draw_chromosome(class_id, rng, cell=drawn, resolution=resolution)
        measured = measure(patch.stain.astype(np.float32), patch.mask)
        pairs.append((_chromosome(class_id, measured, orientation), measured))
    pairs.sort(key=lambda pair: -pair[1].length)
    return tuple(one for one, _ in pairs), tuple(one for _, one in pairs)


def _chromosome(class_id: int, measured: Measurement, orientation: Orientation) -> Chromosome:
    return Chromosome(
        ordinal=0,
        box=(0, 0, 1, 1),
        mask=encode_mask(np.ones((1, 1), np.bool_)),
        score=1.0,
        class_id=class_id,
        class_score=1.0,
        top5=((class_id, 1.0),),
        length=measured.length,
        width=measured.width,
        centromere_index=None,
        orientation=orientation,
        straightened=np.zeros((1, 1), np.uint8),
        profile=measured.profile,
    )
