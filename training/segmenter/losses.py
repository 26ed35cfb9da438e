"""What the segmenter is punished for."""

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
_EMPTY = 1.0
"""Added above and below in a dice: what has no pixel is right if none is said to be of it."""

_SURELY_NOT = torch.tensor(-20.0)
"""The logit of what is not asked for, and is not there: right at no cost."""


def compute_losses(network: Segmenter, batch: Batch) -> dict[str, Tensor]:
    """Each loss by its name; what a mask that covers nothing right costs is 1 for the dice."""
    with autocast_bfloat16():
        maps = network(batch.stain.contiguous(memory_format=torch.channels_last))
    maps = {name: values.float() for name, values in maps.items()}
    kernel, quality = network.kernels_at(
        maps["conditions"], batch.image, batch.lane, batch.row // KERNEL_STRIDE, batch.column // KERNEL_STRIDE
    )
    drawn = draw_masks(kernel, cut_windows(maps["prototypes"], batch), HIDDEN_UNITS)
    mask = batch.mask.flatten(1)
    dense, wanted = maps["dense"].where(batch.known > 0, _SURELY_NOT), batch.dense * batch.known
    return {
        "centre": centre_loss(maps["centre"].where(batch.known > 0, _SURELY_NOT), batch.centre * batch.known),
        "mask_bce": functional.binary_cross_entropy_with_logits(drawn, mask) if len(mask) else drawn.sum(),
        "mask_dice": dice_loss(drawn, mask, dims=(1,)),
        "quality": quality_loss(quality, drawn.detach(), mask),
        "dense_bce": functional.binary_cross_entropy_with_logits(dense, wanted),
        "dense_dice": dice_loss(dense, wanted, dims=(0, 2, 3)),
    }


def weighted_sum(parts: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Their sum, by the weights of a configuration."""
    return torch.stack([weights[name] * part for name, part in parts.items()]).sum()


def cut_windows(prototypes: Tensor, batch: Batch) -> Tensor:
    """(N, C + 2, WINDOW_SIDE^2): of each mask asked for the prototypes in its window, and coordinates about its cell.

    The same as ``karyotyping.segmentation.instance_decoding.window`` cuts out.
    """
    size = prototypes.shape[-1]
    top, left = ((middle - WINDOW_SIDE // 2).clamp(0, size - WINDOW_SIDE) for middle in (batch.row, batch.column))
    places = zip(batch.image.tolist(), top.tolist(), left.tolist(), strict=True)
    cut = [prototypes[k, :, y : y + WINDOW_SIDE, x : x + WINDOW_SIDE] for k, y, x in places]
    if not cut:
        return prototypes.new_zeros(0, prototypes.shape[1] + 2, WINDOW_SIDE**2)
    x, y = (
        (
            (origin[:, None] + torch.arange(WINDOW_SIDE))
            - (middle // KERNEL_STRIDE * KERNEL_STRIDE + 0.5 * (KERNEL_STRIDE - 1))[:, None]
        )
        / COORDINATE_UNIT
        for origin, middle in ((left, batch.column), (top, batch.row))
    )
    whole = (len(cut), WINDOW_SIDE, WINDOW_SIDE)
    flat = torch.stack([x[:, None, :].expand(whole), y[:, :, None].expand(whole)], dim=1)
    return torch.cat([torch.stack(cut), flat], dim=1).flatten(2)


def centre_loss(logits: Tensor, target: Tensor) -> Tensor:
    """The focal loss of CenterNet (Zhou et al. 2019, Eq. 1, alpha 2, beta 4), per midpoint."""
    likely = logits.sigmoid()
    found = target == 1
    hit = functional.logsigmoid(logits) * (1 - likely) ** 2 * found
    wrong = functional.logsigmoid(-logits) * likely**2 * (1 - target) ** 4
    return -(hit + wrong).sum() / found.sum().clamp(min=1)


def dice_loss(logits: Tensor, target: Tensor, dims: tuple[int, ...]) -> Tensor:
    """One minus the dice (Milletari et al. 2016), each over ``dims``, on average."""
    likely = logits.sigmoid()
    shared, both = (likely * target).sum(dims), (likely**2 + target**2).sum(dims)
    loss = 1 - (2 * shared + _EMPTY) / (both + _EMPTY)
    return loss.mean() if len(loss) else loss.sum()


def quality_loss(quality: Tensor, drawn: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of the IoU that was expected with the one that the drawn masks reach."""
    if not len(quality):
        return quality.sum()
    ours, true = drawn > 0, mask > 0.5
    iou = (ours & true).sum(1) / (ours | true).sum(1).clamp(min=1)
    return functional.binary_cross_entropy_with_logits(quality, iou)
