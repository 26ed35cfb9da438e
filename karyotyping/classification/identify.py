"""The chromosomes of a cell identified: what outlines, measurements, classifier and cell say of them, put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from karyotyping.arrays import Mask
from karyotyping.chromosome.measure import Measurement
from karyotyping.classification.assignment import Assignment, assign
from karyotyping.classification.prediction import Prediction
from karyotyping.model import Chromosome, ChromosomeFlag, Orientation, encode_mask
from karyotyping.nomenclature.iscn import format_iscn

_BENT = 1.3
"""Length over distance between the tips from which a chromosome is called bent."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One chromosome as it was found in a picture."""

    mask: Mask
    """(H, W) over the whole picture."""
    score: float = 1.0
    """Probability that it is exactly one whole chromosome, by its outline."""
    flags: frozenset[ChromosomeFlag] = frozenset()


def identify(
    outlined: Sequence[Detection], measured: Sequence[Measurement], classified: Sequence[Prediction]
) -> tuple[Chromosome, ...]:
    """The chromosomes of one cell, longest first, assigned to classes together.

    A good outline around what resembles no class is no good chromosome: its score falls.
    """
    whole = [
        replace(one, score=one.score * (1.0 - said.unknown)) for one, said in zip(outlined, classified, strict=True)
    ]
    # The outline's score ranks outlines. It is no probability: many a true chromosome would end up without a class.
    assigned = assign_cell(classified)
    longest_first = sorted(range(len(measured)), key=lambda k: -measured[k].length)
    return tuple(
        _identified(ordinal, whole[k], measured[k], classified[k], assigned[k])
        for ordinal, k in enumerate(longest_first)
    )


def assign_cell(classified: Sequence[Prediction]) -> tuple[Assignment, ...]:
    """Assign the chromosomes of one cell, each as far as it looks like one whole chromosome."""
    return assign([said.log_probabilities for said in classified], [1.0 - said.unknown for said in classified])


def cell_iscn(chromosomes: Sequence[Chromosome]) -> str:
    """The karyotype that the ``chromosomes`` of a cell make."""
    counts = Counter(item.class_id for item in chromosomes if item.class_id is not None)
    return format_iscn(counts, unidentified=len(chromosomes) - counts.total())


def _identified(
    ordinal: int, outlined: Detection, measured: Measurement, classified: Prediction, assigned: Assignment
) -> Chromosome:
    y, x = np.nonzero(outlined.mask)
    left, top = int(x.min()), int(y.min())
    orientation = classified.orientation(assigned.class_id)
    bent: frozenset[ChromosomeFlag] = frozenset({"bent"} if measured.bend > _BENT else ())
    return Chromosome(
        ordinal=ordinal,
        box=(left, top, int(x.max()) - left + 1, int(y.max()) - top + 1),
        mask=encode_mask(outlined.mask),
        score=outlined.score,
        class_id=assigned.class_id,
        class_score=assigned.score,
        top5=classified.top5,
        length=measured.length,
        width=measured.width,
        centromere_index=_p_share(measured, orientation),
        orientation=orientation,
        straightened=measured.straightened,
        profile=measured.profile,
        embedding=classified.embedding,
        flags=outlined.flags | bent,
    )


def _p_share(measured: Measurement, orientation: Orientation) -> float | None:
    """The p arm's share of the length; of the shorter arm if nobody knows which one is p."""
    if measured.centromere is None or orientation == "unknown":
        return measured.centromere_index
    return measured.centromere if orientation == "p_up" else 1.0 - measured.centromere
