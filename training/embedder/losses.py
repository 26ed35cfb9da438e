"""What the embedding network is asked for."""

from __future__ import annotations

import torch
from pytorch_metric_learning import distances, losses, miners
from torch import Tensor
from torch.nn import functional

CLASSES = 24
WAYS = 2
UNKNOWNS = 4
"""Prototypes of what is no chromosome."""
PROTOTYPES = CLASSES * WAYS + UNKNOWNS


def right_prototypes(class_index: Tensor, turned: Tensor, upright: Tensor) -> Tensor:
    """(N, PROTOTYPES) bool, the prototypes that are right for each chromosome.

    Both ways of a class are right if it is not known which end of the picture the p arm is at; class -1 is no class.
    """
    n = len(class_index)
    right = torch.zeros((n, PROTOTYPES), dtype=torch.bool)
    known = class_index >= 0
    index = torch.arange(n)
    up = known & ~(upright & turned)
    down = known & ~(upright & ~turned)
    right[index[up], WAYS * class_index[up]] = True
    right[index[down], WAYS * class_index[down] + 1] = True
    right[~known, CLASSES * WAYS :] = True
    return right


def margin_softmax(cosine: Tensor, right: Tensor, scale: float = 16.0, margin: float = 0.2) -> Tensor:
    """(N,) cross entropy of scaled cosines, the right ones made harder by ``margin`` (CosFace, Wang et al. 2018).

    The probability of several right prototypes is their sum.
    """
    logits = scale * (cosine - margin * right)
    return torch.logsumexp(logits, dim=1) - torch.logsumexp(logits.masked_fill(~right, -torch.inf), dim=1)


def triplet_loss(embedding: Tensor, class_index: Tensor, margin: float = 0.2) -> Tensor:
    """Triplet loss of cosine distances over the semi-hard triplets of a batch (the paper, Eq. 3), either way up.

    What has no class takes no part.
    """
    cosine = distances.CosineSimilarity()
    known = class_index >= 0
    vectors, labels = embedding[known], class_index[known]
    mined = miners.TripletMarginMiner(margin=margin, distance=cosine, type_of_triplets="semihard")(vectors, labels)
    loss: Tensor = losses.TripletMarginLoss(margin=margin, distance=cosine)(vectors, labels, mined)
    return loss


def polarity_loss(logit: Tensor, turned: Tensor, upright: Tensor) -> Tensor:
    """Mean binary cross entropy over those whose polarity is known; 0 if it is of none."""
    each = functional.binary_cross_entropy_with_logits(logit, (~turned).float(), reduction="none")
    return (each * upright).sum() / upright.sum().clamp(min=1)
