"""An exported network becomes one that can be trained on: its file is all that is left of most trainings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

_FOLDED = "_bias"
"""What the exporter adds to the name of a convolution's weight where batch normalisation became a bias."""


def restore_weights(network: nn.Module, exported: Path, look: Callable[[], object], *, within: str) -> None:
    """Give ``network`` the weights of an exported file; it then computes the same.

    Export folds batch normalisation into what is before it. Here it is unfolded again: filters get norm 1, and what
    they give to ``look`` says what there is to normalise. Blocks that the exported network lacked keep their first
    weights.

    Args:
        network: left in evaluation mode.
        exported: ONNX file.
        look: runs the network once, on as much of what it is to be trained on as memory allows.
        within: name that the network had as a part of what was exported.

    Raises:
        ValueError: the file holds weights that the network has no place for, or none at all.
    """
    stored = {
        name.removeprefix(f"{within}."): values
        for name, values in read_weights(exported).items()
        if name.startswith(f"{within}.")
    }
    places = dict(network.named_parameters())
    kept = {name: values for name, values in stored.items() if not name.endswith(_FOLDED)}
    if not kept or any(name not in places or places[name].shape != values.shape for name, values in kept.items()):
        raise ValueError(f"{exported} is no export of such a network: begin with another, or without")
    network.eval()
    with torch.no_grad():
        for name, values in kept.items():
            places[name].copy_(values)
        hooks = [
            norm.register_forward_pre_hook(_unfold(convolution, stored[f"{name}.weight{_FOLDED}"]))
            for name, convolution, norm in _pairs(network)
            if f"{name}.weight{_FOLDED}" in stored
        ]
        look()
    for hook in hooks:
        hook.remove()


def read_weights(exported: Path) -> dict[str, Tensor]:
    """All weights of an exported file by the names that they have there."""
    graph = onnx.load(exported).graph
    return {item.name: torch.from_numpy(numpy_helper.to_array(item).copy()) for item in graph.initializer}


def _pairs(network: nn.Module) -> Iterator[tuple[str, Any, nn.Module]]:
    """Convolutions and linear maps with batch normalisation after them, and their names."""
    for name, part in network.named_modules():
        if isinstance(part, nn.Sequential):
            for place, (one, after) in enumerate(zip(part, list(part)[1:], strict=False)):
                if isinstance(after, nn.BatchNorm1d | nn.BatchNorm2d):
                    yield f"{name}.{place}", one, after


def _unfold(convolution: Any, bias: Tensor) -> Callable[[Any, tuple[Tensor, ...]], tuple[Tensor]]:
    """What to do just before batch normalisation sees for the first time what it is given."""

    def unfold(norm: Any, given: tuple[Tensor, ...]) -> tuple[Tensor]:
        if not norm.affine:  # nothing can be given to it but what it subtracts and divides by
            norm.running_mean.copy_(-bias)
            norm.running_var.fill_(1 - norm.eps)
            return (given[0],)
        size = convolution.weight.flatten(1).norm(dim=1).clamp(min=1e-9)
        convolution.weight.div_(size.view(-1, *[1] * (convolution.weight.ndim - 1)))
        values = given[0] / size.view(-1, *[1] * (given[0].ndim - 2))
        variance, mean = torch.var_mean(values, dim=(0, *range(2, values.ndim)))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(size * (variance + norm.eps).sqrt())
        norm.bias.copy_(bias + size * mean)
        return (values,)

    return unfold
