"""A trained network becomes one ONNX file, which must compute what the network does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from models.engine import Placement, load_engine

MAX_DIFFERENCE = 1e-4
"""Largest difference of an output between torch and the exported file."""


class ExportMismatch(Exception):
    """The exported network does not compute what the trained one does."""


def export_onnx(
    network: nn.Module,
    path: Path,
    inputs: Mapping[str, NDArray[np.float32]],
    outputs: Sequence[str],
    *,
    sides_of: int | None = None,
) -> Path:
    """Write ``network`` with a dynamic batch dimension, and check it on ``inputs`` (two rows or more of each).

    Args:
        network: what is exported; its arguments are the inputs, in their order.
        path: of the ONNX file; the weights lie within it.
        inputs: examples by name.
        outputs: names of what the network returns.
        sides_of: heights and widths are dynamic too, multiples of so many pixels; all inputs are pictures (N, C, H, W)
            then.

    Raises:
        ExportDiffers: an output differs from torch's by more than ``TOLERANCE``.
    """
    network = network.eval()
    any_shape: dict[int, object] = {0: torch.export.Dim.DYNAMIC}
    if sides_of is not None:
        any_shape |= {2: sides_of * torch.export.Dim("rows"), 3: sides_of * torch.export.Dim("columns")}
    tensors = tuple(torch.from_numpy(example) for example in inputs.values())
    torch.onnx.export(
        network,
        tuple(tensor[:2] for tensor in tensors),
        path,
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes=tuple(any_shape for _ in tensors),
        opset_version=18,
        external_data=False,
        verbose=False,
    )
    _forget_sources(path)
    with torch.no_grad():
        theirs = network(*tensors)
    theirs = (theirs,) if isinstance(theirs, torch.Tensor) else theirs
    ours = load_engine(path, "cpu", Placement(threads=1)).infer(inputs)
    for name, expected in zip(outputs, theirs, strict=True):
        difference = float(np.abs(ours[name] - expected.numpy()).max(initial=0.0))
        if difference > MAX_DIFFERENCE:
            raise ExportMismatch(
                f"{name} of {path} differs from the trained network by {difference:.2g} (allowed {MAX_DIFFERENCE})"
            )
    return path


def _forget_sources(path: Path) -> None:
    """Take the exporter's notes out of an ONNX file: stack traces with the paths of the machine that made it."""
    model = onnx.load(path)
    model.doc_string = model.graph.doc_string = ""
    for noted in (
        model,
        model.graph,
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
    ):
        del noted.metadata_props[:]
    onnx.save(model, path)
