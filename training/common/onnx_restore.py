"""Restoring a trainable network from its exported ONNX file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

_BIAS_SUFFIX = "_bias"
"""Suffix of a convolution's weight in the exporter's name for a folded batch normalisation."""


def restore_weights(network: nn.Module, exported: Path, run: Callable[[], object], *, within: str) -> None:
    """Load the weights of an exported file into a network, which then computes the same.

    The export folds batch normalisation into the layer before it. Here it is unfolded: filters get norm 1, and the
    statistics are measured while ``run`` runs the network. Blocks that the exported network lacked keep their initial
    weights.

    Args:
        network: network to load into; it stays in evaluation mode.
        exported: ONNX file.
        run: runs the network once, on as many training inputs as memory allows.
        within: name of the network as a part of the exported module.

    Raises:
        ValueError: the file has weights that the network lacks, or none of its weights.
    """
    stored = {
        name.removeprefix(f"{within}."): values
        for name, values in read_weights(exported).items()
        if name.startswith(f"{within}.")
    }
    parameters = dict(network.named_parameters())
    kept = {name: values for name, values in stored.items() if not name.endswith(_BIAS_SUFFIX)}
    if not kept or any(
        name not in parameters or parameters[name].shape != values.shape for name, values in kept.items()
    ):
        raise ValueError(f"{exported} is no export of such a network: start from another file, or without one")
    network.eval()
    with torch.no_grad():
        for name, values in kept.items():
            parameters[name].copy_(values)
        hooks = [
            norm.register_forward_pre_hook(_unfolding_hook(layer, stored[f"{name}.weight{_BIAS_SUFFIX}"]))
            for name, layer, norm in _normalised_layers(network)
            if f"{name}.weight{_BIAS_SUFFIX}" in stored
        ]
        run()
    for hook in hooks:
        hook.remove()


def read_weights(exported: Path) -> dict[str, Tensor]:
    """Return all weights of an ONNX file by their names in it."""
    graph = onnx.load(exported).graph
    return {item.name: torch.from_numpy(numpy_helper.to_array(item).copy()) for item in graph.initializer}


def _normalised_layers(network: nn.Module) -> Iterator[tuple[str, Any, nn.Module]]:
    """Yield name, layer and batch normalisation of each layer with one after it."""
    for name, part in network.named_modules():
        if isinstance(part, nn.Sequential):
            for place, (layer, following) in enumerate(zip(part, list(part)[1:], strict=False)):
                if isinstance(following, nn.BatchNorm1d | nn.BatchNorm2d):
                    yield f"{name}.{place}", layer, following


def _unfolding_hook(layer: Any, bias: Tensor) -> Callable[[Any, tuple[Tensor, ...]], tuple[Tensor]]:
    """Return a hook that unfolds a batch normalisation just before its first input.

    Args:
        layer: convolution or linear map before the batch normalisation, with folded weights.
        bias: folded bias, (C,).
    """

    def unfold(norm: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        if not norm.affine:  # only its running mean and variance can be set
            norm.running_mean.copy_(-bias)
            norm.running_var.fill_(1 - norm.eps)
            return (inputs[0],)
        size = layer.weight.flatten(1).norm(dim=1).clamp(min=1e-9)
        layer.weight.div_(size.view(-1, *[1] * (layer.weight.ndim - 1)))
        values = inputs[0] / size.view(-1, *[1] * (inputs[0].ndim - 2))
        variance, mean = torch.var_mean(values, dim=(0, *range(2, values.ndim)))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(size * (variance + norm.eps).sqrt())
        norm.bias.copy_(bias + size * mean)
        return (values,)

    return unfold
