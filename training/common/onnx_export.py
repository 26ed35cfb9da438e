"""Export of a trained network to one ONNX file, verified against the network."""

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
"""Largest absolute difference of an output between torch and the exported file."""


class ExportMismatch(Exception):
    """Error of an exported file whose outputs differ from those of the network."""


def export_onnx(
    network: nn.Module,
    path: Path,
    inputs: Mapping[str, NDArray[np.float32]],
    outputs: Sequence[str],
    *,
    side_multiple: int | None = None,
) -> Path:
    """Write a network as an ONNX file with a dynamic batch dimension, and verify it.

    Args:
        network: network to export; its arguments are the inputs, in their order.
        path: ONNX file to write; it holds the weights.
        inputs: example inputs by name, two rows or more each; the file is verified on them.
        outputs: names of what the network returns.
        side_multiple: heights and widths are dynamic too, as multiples of this many pixels; all inputs are then images
            (N, C, H, W).

    Returns:
        ``path``.

    Raises:
        ExportMismatch: an output differs from torch's by more than ``MAX_DIFFERENCE``.
    """
    network = network.eval()
    dynamic: dict[int, object] = {0: torch.export.Dim.DYNAMIC}
    if side_multiple is not None:
        dynamic |= {2: side_multiple * torch.export.Dim("rows"), 3: side_multiple * torch.export.Dim("columns")}
    tensors = tuple(torch.from_numpy(example) for example in inputs.values())
    torch.onnx.export(
        network,
        tuple(tensor[:2] for tensor in tensors),
        path,
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes=tuple(dynamic for _ in tensors),
        opset_version=18,
        external_data=False,
        verbose=False,
    )
    _strip_metadata(path)
    with torch.no_grad():
        expected = network(*tensors)
    expected = (expected,) if isinstance(expected, torch.Tensor) else expected
    exported = load_engine(path, "cpu", Placement(threads=1)).infer(inputs)
    for name, values in zip(outputs, expected, strict=True):
        difference = float(np.abs(exported[name] - values.numpy()).max(initial=0.0))
        if difference > MAX_DIFFERENCE:
            raise ExportMismatch(
                f"{name} of {path} differs from the trained network by {difference:.2g} (allowed {MAX_DIFFERENCE})"
            )
    return path


def _strip_metadata(path: Path) -> None:
    """Remove the exporter's notes from an ONNX file: stack traces with paths of this machine."""
    model = onnx.load(path)
    model.doc_string = model.graph.doc_string = ""
    for annotated in (
        model,
        model.graph,
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
    ):
        del annotated.metadata_props[:]
    onnx.save(model, path)
