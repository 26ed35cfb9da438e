"""Export of the trained embedding network, and restoring it from an exported file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from karyotyping.classification.embedder import EMBEDDER
from models.networks.embedder import DIMENSIONS, Scores
from training.common.onnx_export import export_onnx
from training.common.onnx_restore import read_weights, restore_weights
from training.embedder.data import Chromosomes
from training.embedder.losses import PROTOTYPES

_VERIFIED_CHROMOSOMES = 64
"""Chromosomes on which the exported file must compute what the network does."""


def export_embedder(trained: Any, scale: float, folder: Path, chromosomes: Chromosomes) -> Path:
    """Write ``embedder.onnx``.

    Args:
        trained: module list of an ``Embedder`` and its ``Prototypes``.
        scale: factor from cosines to scores.
        folder: folder to write into.
        chromosomes: inputs to verify the file on.

    Returns:
        The exported file.

    Raises:
        training.common.onnx_export.ExportMismatch: the exported file differs from the network.
    """
    examples = chromosomes[np.arange(min(_VERIFIED_CHROMOSOMES, len(chromosomes)))].visible
    outputs = ("embedding", "scores", "polarity")
    return export_onnx(Scores(trained, scale), folder / f"{EMBEDDER}.onnx", {"appearance": examples}, outputs)


def restore_embedder(trained: Any, start: Path, appearance: Tensor) -> None:
    """Load the weights of an exported network.

    Args:
        trained: module list of an ``Embedder`` and its ``Prototypes`` to load into.
        start: exported network.
        appearance: (N, 1, ROWS, COLUMNS) training inputs, as many as memory allows.

    Raises:
        ValueError: ``start`` is another kind of network.
    """
    restore_weights(trained, start, lambda: trained[0](appearance), within="trained")
    # The exporter renames the prototypes; no other weights have their shape.
    (directions,) = (values for values in read_weights(start).values() if values.shape == (DIMENSIONS, PROTOTYPES))
    trained[1].directions.data.copy_(directions.T)
