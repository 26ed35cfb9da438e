"""Losses of the segmenter."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from karyotyping.segmentation.instance_decoding import COORDINATE_UNIT, HIDDEN_UNITS, KERNEL_STRIDE, WINDOW_SIDE
from models.networks.segmenter import Segmenter, draw_masks
from training.common.precision import autocast_bfloat16
from training.segmenter.targets import Batch

LOSS_NAMES = ("centre", "mask_bce", "mask_dice", "quality", "dense_bce", "dense_dice")
_DICE_SMOOTHING = 1.0
"""Added to numerator and denominator of a dice: an empty target is right if nothing is predicted."""
_IGNORED_LOGIT = torch.tensor(-20.0)
"""Logit of unknown pixels: with a target of 0 they cost nothing."""


def compute_losses(network: Segmenter, batch: Batch) -> dict[str, Tensor]:
    """Return each loss by its name in ``LOSS_NAMES``."""
    with autocast_bfloat16():
        maps = network(batch.stain.contiguous(memory_format=torch.channels_last))
    maps = {name: values.float() for name, values in maps.items()}
    kernel, quality = network.kernels_at(
        maps["conditions"], batch.image, batch.axis_bin, batch.row // KERNEL_STRIDE, batch.column // KERNEL_STRIDE
    )
    drawn = draw_masks(kernel, cut_windows(maps["prototypes"], batch), HIDDEN_UNITS)
    mask = batch.mask.flatten(1)
    dense, target = maps["dense"].where(batch.known > 0, _IGNORED_LOGIT), batch.dense * batch.known
    return {
        "centre": centre_loss(maps["centre"].where(batch.known > 0, _IGNORED_LOGIT), batch.centre * batch.known),
        "mask_bce": functional.binary_cross_entropy_with_logits(drawn, mask) if len(mask) else drawn.sum(),
        "mask_dice": dice_loss(drawn, mask, dims=(1,)),
        "quality": quality_loss(quality, drawn.detach(), mask),
        "dense_bce": functional.binary_cross_entropy_with_logits(dense, target),
        "dense_dice": dice_loss(dense, target, dims=(0, 2, 3)),
    }


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Return the weighted sum of losses."""
    return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()


def cut_windows(prototypes: Tensor, batch: Batch) -> Tensor:
    """Return the prototypes in the window of each mask, and coordinates relative to its kernel.

    The windows are those that ``karyotyping.segmentation.instance_decoding`` cuts out.

    Args:
        prototypes: (B, C, h, w).
        batch: batch with N masks.

    Returns:
        (N, C + 2, WINDOW_SIDE ** 2).
    """
    size = prototypes.shape[-1]
    top, left = ((middle - WINDOW_SIDE // 2).clamp(0, size - WINDOW_SIDE) for middle in (batch.row, batch.column))
    places = zip(batch.image.tolist(), top.tolist(), left.tolist(), strict=True)
    windows = [prototypes[k, :, y : y + WINDOW_SIDE, x : x + WINDOW_SIDE] for k, y, x in places]
    if not windows:
        return prototypes.new_zeros(0, prototypes.shape[1] + 2, WINDOW_SIDE**2)
    x, y = (
        (
            (origin[:, None] + torch.arange(WINDOW_SIDE))
            - (middle // KERNEL_STRIDE * KERNEL_STRIDE + 0.5 * (KERNEL_STRIDE - 1))[:, None]
        )
        / COORDINATE_UNIT
        for origin, middle in ((left, batch.column), (top, batch.row))
    )
    shape = (len(windows), WINDOW_SIDE, WINDOW_SIDE)
    coordinates = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=1)
    return torch.cat([torch.stack(windows), coordinates], dim=1).flatten(2)


def centre_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return the focal loss per midpoint (CenterNet, Zhou et al. 2019, Eq. 1, alpha 2, beta 4).

    Args:
        logits: (B, AXIS_BINS, h, w).
        target: (B, AXIS_BINS, h, w) from ``centre_map``, 1 at midpoints.
    """
    probability = logits.sigmoid()
    midpoint = target == 1
    positive = functional.logsigmoid(logits) * (1 - probability) ** 2 * midpoint
    negative = functional.logsigmoid(-logits) * probability**2 * (1 - target) ** 4
    return -(positive + negative).sum() / midpoint.sum().clamp(min=1)


def dice_loss(logits: Tensor, target: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return the mean of 1 - dice (V-Net, Milletari et al. 2016).

    Args:
        logits: predicted maps or masks.
        target: 0..1, of the same shape.
        dims: dimensions over which each dice is computed.
    """
    probability = logits.sigmoid()
    shared, both = (probability * target).sum(dims), (probability**2 + target**2).sum(dims)
    loss = 1 - (2 * shared + _DICE_SMOOTHING) / (both + _DICE_SMOOTHING)
    return loss.mean() if len(loss) else loss.sum()


def quality_loss(quality: Tensor, drawn: Tensor, mask: Tensor) -> Tensor:
    """Return the cross entropy of the expected IoU with the IoU of the drawn masks.

    Args:
        quality: (N,) logits of the expected IoU.
        drawn: (N, M) logits of the drawn masks.
        mask: (N, M) true masks, 0..1.
    """
    if not len(quality):
        return quality.sum()
    predicted, true = drawn > 0, mask > 0.5
    iou = (predicted & true).sum(1) / (predicted | true).sum(1).clamp(min=1)
    return functional.binary_cross_entropy_with_logits(quality, iou)
