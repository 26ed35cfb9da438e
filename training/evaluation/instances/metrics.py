"""Figures computed from matches: average precision, the paper's Eq. 6 and 7, edits.

Average precision is accumulated here, not by pycocotools: the bootstrap accumulates hundreds of resamples, and needs
arrays instead of pycocotools' loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from karyotyping.arrays import Floats
from training.evaluation.instances.edit_count import Corrections
from training.evaluation.instances.matching import ImageMatches
from training.evaluation.statistics import Figures, ratio

_COCO_RECALLS = np.linspace(0, 1, 101)
_EQ6_RECALLS = np.linspace(0, 1, 11)


def detection(matches: Sequence[ImageMatches]) -> Figures:
    """Return how well results ranked by score find the instances.

    Returns:
        ``AP50``, ``AP75`` and ``mAP`` (IoU .50:.95) interpolate precision at 101 levels of recall as COCO does,
        ``AP50_eq6`` and ``mAP_eq6`` at 11 levels (Eq. 6 of the paper). ``mAR`` is the recall of all results, averaged
        over IoU .50:.95. All are 0..1, and NaN without any instance.
    """
    recall, precision = precision_recall(matches)
    truth = sum(image.truth for image in matches)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]  # the best precision at this recall or more
    coco, eq6 = (_average_precision(recall, best, levels, truth) for levels in (_COCO_RECALLS, _EQ6_RECALLS))
    reached = recall[:, -1] if recall.shape[1] else np.full(len(recall), 0.0 if truth else np.nan)
    return {
        "AP50": float(coco[0]),
        "AP75": float(coco[5]),
        "mAP": float(coco.mean()),
        "mAR": float(reached.mean()),
        "AP50_eq6": float(eq6[0]),
        "mAP_eq6": float(eq6.mean()),
    }


def precision_recall(matches: Sequence[ImageMatches]) -> tuple[Floats, Floats]:
    """Return recall and precision of the results by decreasing score.

    Returns:
        (T, D) each, 0..1, at T = 10 IoU thresholds and after each of D results; recall is NaN without any instance.
    """
    truth = sum(image.truth for image in matches)
    scores = np.concatenate([image.scores for image in matches])
    order = np.argsort(-scores, kind="stable")
    hit = np.concatenate([image.hit for image in matches], axis=1)[:, order]
    excused = np.concatenate([image.excused for image in matches], axis=1)[:, order]
    true, false = np.cumsum(hit, axis=1), np.cumsum(~hit & ~excused, axis=1)
    recall = true / truth if truth else np.full(true.shape, np.nan)
    return recall, true / np.maximum(true + false, 1)


def _average_precision(recall: Floats, precision: Floats, levels: Floats, truth: int) -> Floats:
    """Return (T,) the mean of the precision at each of the ``levels`` of recall."""
    if not truth:
        return np.full(len(recall), np.nan)
    padded = np.pad(precision, ((0, 0), (0, 1)))  # a recall that is never reached has precision 0
    reached = np.array([np.searchsorted(row, levels) for row in recall])
    return np.asarray(np.take_along_axis(padded, reached, axis=1).mean(axis=1), float)


class Outcome(NamedTuple):
    """Counts of one image at IoU .5."""

    true: int
    false: int
    missed: int
    right_class: int
    """Of the true ones."""


def outcome(image: ImageMatches, min_score: float) -> Outcome:
    """Count the results of at least ``min_score`` in one image."""
    counted = (image.scores >= min_score) & ~image.excused[0]
    true = int((image.hit[0] & counted).sum())
    return Outcome(true, int(counted.sum()) - true, image.truth - true, int((image.right_class & counted).sum()))


def enumeration(images: Sequence[Outcome]) -> Figures:
    """Return the paper's Eq. 7 at IoU .5, the agreement of counts, and the accuracy of classes.

    Returns:
        ``WCR``: share of images without FP and FN. ``count_exact``: share of images with as many results as instances.
        ``class_accuracy``: share of the matched results that have their instance's class.
    """
    table = np.array(images).reshape(-1, 4)
    true, false, missed, right_class = table.sum(axis=0)
    surplus = table[:, 1] - table[:, 2]
    return {
        "WCR": float(np.mean((table[:, 1] == 0) & (table[:, 2] == 0))),
        "AER": ratio(false + missed, true + missed),
        "Acc": ratio(true, true + false + missed),
        "precision": ratio(true, true + false),
        "recall": ratio(true, true + missed),
        "count_exact": float(np.mean(surplus == 0)),
        "count_error": float(np.mean(np.abs(surplus))),
        "count_bias": float(np.mean(surplus)),
        "class_accuracy": ratio(right_class, true),
        "TP": int(true),
        "FP": int(false),
        "FN": int(missed),
    }


def correction_figures(images: Sequence[Corrections]) -> Figures:
    """Return the shares of right outlines, and the edits needed (see ``edit_count``).

    Returns:
        ``clinical_precision`` and ``clinical_recall``: share of results, and of chromosomes, with a right outline (the
        paper's "100 % correct contours"). ``edits``: per image, the sum of ``splits``, ``joins``, ``deletions`` and
        ``additions``.
    """
    right = sum(image.right for image in images)
    kinds = ("splits", "joins", "deletions", "additions")
    per_image = {kind: float(np.mean([getattr(image, kind) for image in images])) for kind in kinds}
    return {
        "clinical_precision": ratio(right, sum(image.results for image in images)),
        "clinical_recall": ratio(right, sum(image.chromosomes for image in images)),
        "edits": sum(per_image.values()),
        **per_image,
    }
