"""Losses of the embedding network."""

from __future__ import annotations

import torch
from pytorch_metric_learning import distances, losses, miners
from torch import Tensor
from torch.nn import functional

from karyotyping.classification.embedder import ORIENTATION_COUNT
from karyotyping.nomenclature.classes import CLASS_COUNT
from training.embedder.data import ANY_CLASS, NO_CLASS

UNKNOWNS = 4
"""Prototypes of objects without a class."""
PROTOTYPES = CLASS_COUNT * ORIENTATION_COUNT + UNKNOWNS
"""Prototypes: each class p arm up and p arm down, then ``UNKNOWNS``."""


def right_prototypes(class_index: Tensor, turned: Tensor, upright: Tensor) -> Tensor:
    """Return which prototypes are right for each chromosome.

    Both prototypes of a class are right where the polarity is unknown, and those of all classes where the class is.

    Args:
        class_index: (N,) 0..23, ``NO_CLASS`` or ``ANY_CLASS``.
        turned: (N,) bool, whether the chromosome was turned by 180 degrees.
        upright: (N,) bool, whether the p arm was known to be up before.

    Returns:
        (N, PROTOTYPES) bool.
    """
    n = len(class_index)
    right = torch.zeros((n, PROTOTYPES), dtype=torch.bool)
    known = class_index >= 0
    index = torch.arange(n)
    up = known & ~(upright & turned)
    down = known & ~(upright & ~turned)
    right[index[up], ORIENTATION_COUNT * class_index[up]] = True
    right[index[down], ORIENTATION_COUNT * class_index[down] + 1] = True
    right[class_index == ANY_CLASS, : CLASS_COUNT * ORIENTATION_COUNT] = True
    right[class_index == NO_CLASS, CLASS_COUNT * ORIENTATION_COUNT :] = True
    return right


def margin_softmax(cosine: Tensor, right: Tensor, scale: float = 16.0, margin: float = 0.2) -> Tensor:
    """Return the cross entropy of scaled cosines with a margin.

    After CosFace (Wang et al. 2018, Eq. 4). The probability of several right prototypes is their sum.

    Args:
        cosine: (N, PROTOTYPES).
        right: (N, PROTOTYPES) bool.
        scale: factor of the cosines before the softmax.
        margin: subtracted from the cosines of right prototypes.

    Returns:
        (N,).
    """
    logits = scale * (cosine - margin * right)
    return torch.logsumexp(logits, dim=1) - torch.logsumexp(logits.masked_fill(~right, -torch.inf), dim=1)


def triplet_loss(embedding: Tensor, class_index: Tensor, margin: float = 0.2) -> Tensor:
    """Return the triplet loss over the semi-hard triplets of a batch.

    After KaryoXpert (Chen et al. 2024, Eq. 3). Distances are cosines, and polarity is ignored.

    Args:
        embedding: (N, D) unit vectors.
        class_index: (N,) 0..23; objects without a class are ignored.
        margin: of the triplets.
    """
    cosine = distances.CosineSimilarity()
    known = class_index >= 0
    vectors, labels = embedding[known], class_index[known]
    mined = miners.TripletMarginMiner(margin=margin, distance=cosine, type_of_triplets="semihard")(vectors, labels)
    loss: Tensor = losses.TripletMarginLoss(margin=margin, distance=cosine)(vectors, labels, mined)
    return loss


def polarity_loss(logit: Tensor, turned: Tensor, upright: Tensor) -> Tensor:
    """Return the mean cross entropy of known polarities; 0 if none is known.

    Args:
        logit: (N,) log-odds that the p arm is up.
        turned: (N,) bool, whether the chromosome was turned by 180 degrees.
        upright: (N,) bool, whether the p arm was known to be up before.
    """
    each = functional.binary_cross_entropy_with_logits(logit, (~turned).float(), reduction="none")
    return (each * upright).sum() / upright.sum().clamp(min=1)
