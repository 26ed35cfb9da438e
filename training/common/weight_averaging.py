"""The mean of the weights of several trainings that started from the same weights.

The mean is one network of the same size. It is often more accurate than each of them (model soups, Wortsman et al.
2022, arXiv 2203.05482).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from models.registry import resolve
from training.common.card import write_card

_UNIT_TOLERANCE = 1e-5  # of the length of a unit vector in single precision


def write_mean(exported: Sequence[Path], out: Path) -> None:
    """Write the mean of exported networks to ``out``, with its card.

    Columns that are unit vectors in every network, as the prototypes of an embedder, are unit vectors in the mean.

    The caller makes sure that the trainings started from the same weights: their files do not record it.

    Args:
        exported: ONNX files of one architecture, each with its card.
        out: ONNX file to write.

    Raises:
        ValueError: there are no files, or they are not of one architecture.
        models.registry.ModelUnavailable: a file has no card.
    """
    if not exported:
        raise ValueError("a mean needs at least one network")
    trained = [resolve(file.stem, file.parent) for file in exported]
    networks = [onnx.load(file) for file in exported]
    weights = [{item.name: numpy_helper.to_array(item) for item in network.graph.initializer} for network in networks]
    shapes = [{name: value.shape for name, value in values.items()} for values in weights]
    for file, network, shape in zip(exported, networks, shapes, strict=True):
        if network.graph.node != networks[0].graph.node or shape != shapes[0]:
            raise ValueError(f"{file} is not of the architecture of {exported[0]}: only equal networks have a mean")
    for item in networks[0].graph.initializer:
        values = [each[item.name] for each in weights]
        if values[0].dtype.kind == "f":
            item.CopyFrom(numpy_helper.from_array(_mean(values), item.name))
    out.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(networks[0], out)
    facts = {key: value for key, value in trained[0].card.items() if key not in ("sha256", "metrics")}
    facts["data"] = "; ".join(dict.fromkeys(one.card["data"] for one in trained))
    facts["command"] = "; ".join([*dict.fromkeys(one.card["command"] for one in trained), "karyo train mean"])
    digests = ", ".join(one.sha256[:8] for one in trained)
    text = f"# {out.stem}\n\nThe mean of the networks whose sha256 begin with {digests}. It has not been measured."
    write_card(out, facts, {}, text)


def _mean(values: Sequence[NDArray[np.floating]]) -> NDArray[np.floating]:
    """Return the mean of arrays of one shape, see :func:`write_mean`."""
    stacked = np.stack(values).astype(np.float64)
    mean: NDArray[np.floating] = stacked.mean(axis=0)
    if stacked.ndim == 3 and np.allclose(np.linalg.norm(stacked, axis=1), 1.0, atol=_UNIT_TOLERANCE):
        mean /= np.linalg.norm(mean, axis=0)
    return mean.astype(values[0].dtype)
