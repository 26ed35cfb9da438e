"""The file of the embedding network: written at the end of a training, and what another may begin with."""

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

_COMPARED = 64
"""Chromosomes on which the exported file must compute what the network does."""


def export_embedder(trained: Any, scale: float, folder: Path, seen: Chromosomes) -> Path:
    """Write [Embedder, Prototypes] as ``embedder.onnx``, its scores being ``scale`` times the cosines.

    Raises:
        training.common.onnx_export.ExportDiffers: the exported file disagrees with the network on some of ``seen``.
    """
    few = seen[np.arange(min(_COMPARED, len(seen)))].visible
    outputs = ("embedding", "scores", "polarity")
    return export_onnx(Scores(trained, scale), folder / f"{EMBEDDER}.onnx", {"appearance": few}, outputs)


def restore_embedder(trained: Any, start: Path, seen: Tensor) -> None:
    """Give [Embedder, Prototypes] the weights of an exported network; ``seen`` (N, 1, ROWS, COLUMNS) is much of what
    they are to be trained on.

    Raises:
        ValueError: it is another kind of network.
    """
    restore_weights(trained, start, lambda: trained[0](seen), within="trained")
    # The exporter keeps the prototypes under a name of its own; no other weights have their shape.
    (directions,) = (values for values in read_weights(start).values() if values.shape == (DIMENSIONS, PROTOTYPES))
    trained[1].directions.data.copy_(directions.T)
