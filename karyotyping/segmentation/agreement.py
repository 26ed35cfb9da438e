"""Candidates that the segmenter detects in several orientations of an image, as one list.

A network of convolutions sees another image when it is rotated or mirrored, so its errors differ. A candidate that
every orientation shows is more probably a chromosome (test-time augmentation; the votes of
:mod:`training.segmenter.consensus` are of selected chromosomes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit

from karyotyping.image.orientation import restore_box, restore_orientation
from karyotyping.segmentation.contours import Contour, overlapping_pairs
from karyotyping.segmentation.instance_decoding import Candidate

_MIN_SCORE = 1e-3  # scores are clipped to [1e-3, 1 - 1e-3] before log odds


@dataclass(frozen=True, slots=True)
class AgreementParameters:
    """Which orientations the segmenter processes, and how their candidates become one list."""

    turns: tuple[int, ...] = (0, 3)
    """Orientations of every tile, each 0..7."""
    others: tuple[int, ...] = (1, 2)
    """The same where these leave something unexplained; empty if they are not tried."""
    same: float = 0.6
    """Least IoU, 0..1, of candidates in two orientations that are of the same chromosome."""
    duplicate: float = 0.85
    """Least IoU, 0..1, of candidates in two orientations of which the better one is kept."""
    missed: float = 0.05
    """Score, 0..1, of a candidate in an orientation that does not show it."""


def restore_candidate(item: Candidate, turn: int, shape: tuple[int, int]) -> Candidate:
    """Return a candidate of an oriented tile in the tile before.

    Args:
        item: candidate in pixels of the oriented maps.
        turn: orientation of the tile, 0..7.
        shape: h, w of the maps before.
    """
    h, w = item.region.mask.shape
    x, y, _, _ = restore_box((*item.region.origin, w, h), turn, shape)
    column, row, _, _ = restore_box((*item.midpoint, 0, 0), turn, shape)
    region = Contour(restore_orientation(item.region.mask, turn), (int(x), int(y)))
    logits = restore_orientation(item.logits, turn)
    return replace(item, region=region, logits=logits, midpoint=(column, row))


def agree(orientations: Sequence[Sequence[Candidate]], parameters: AgreementParameters) -> list[Candidate]:
    """Return the candidates of all orientations, scored by their mean log odds.

    Of two orientations' candidates that are nearly equal, the one with the higher score is left.

    Args:
        orientations: candidates in each orientation, all in pixels of the same maps.
        parameters: when candidates are of the same chromosome.
    """
    items = [item for own in orientations for item in own]
    if len(orientations) < 2 or not items:
        return items
    orientation_of = [number for number, own in enumerate(orientations) for _ in own]
    scores = np.full((len(items), len(orientations)), parameters.missed)
    scores[range(len(items)), orientation_of] = [item.score for item in items]
    areas, duplicates = [item.region.area for item in items], []
    for j, k in overlapping_pairs([item.region for item in items]):
        if orientation_of[j] == orientation_of[k]:
            continue
        shared = items[j].region.overlap_area(items[k].region)
        iou = shared / (areas[j] + areas[k] - shared)
        if iou >= parameters.same:
            scores[j, orientation_of[k]] = max(scores[j, orientation_of[k]], items[k].score)
            scores[k, orientation_of[j]] = max(scores[k, orientation_of[j]], items[j].score)
        if iou >= parameters.duplicate:
            duplicates.append((iou, j, k))
    dropped: set[int] = set()
    for _, j, k in sorted(duplicates, reverse=True):
        if not dropped & {j, k}:
            dropped.add(j if items[j].score < items[k].score else k)
    mean = expit(logit(np.clip(scores, _MIN_SCORE, 1 - _MIN_SCORE)).mean(axis=1))
    return [
        replace(item, score=float(p)) for k, (item, p) in enumerate(zip(items, mean, strict=True)) if k not in dropped
    ]
