"""One network of several trainings that began with the same weights: the mean of theirs, no larger than each.

Where they err in different ways it errs less (model soups, Wortsman et al. 2022, arXiv 2203.05482).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from models.registry import resolve
from training.common.card import write_card


def write_mean(exported: Sequence[Path], out: Path) -> None:
    """Write the mean of exported networks to ``out``, an ONNX file like theirs, and its card.

    That they began alike is the caller's business: their files do not tell.

    Raises:
        ValueError: there are none, or they are not of one architecture.
        models.registry.ModelUnavailable: one lacks its card.
    """
    if not exported:
        raise ValueError("of no network there is no mean")
    trained = [resolve(file.stem, file.parent) for file in exported]
    networks = [onnx.load(file) for file in exported]
    stored = [{item.name: numpy_helper.to_array(item) for item in network.graph.initializer} for network in networks]
    for file, network, values in zip(exported, networks, stored, strict=True):
        same_nodes = network.graph.node == networks[0].graph.node
        if not same_nodes or {n: v.shape for n, v in values.items()} != {n: v.shape for n, v in stored[0].items()}:
            raise ValueError(
                f"{file} is not of the architecture of {exported[0]}: what lies between both is no network"
            )
    for item in networks[0].graph.initializer:
        same = [each[item.name] for each in stored]
        if same[0].dtype.kind == "f":
            mean = np.stack(same).mean(axis=0, dtype=np.float64).astype(same[0].dtype)
            item.CopyFrom(numpy_helper.from_array(mean, item.name))
    onnx.save(networks[0], out)
    facts = {key: value for key, value in trained[0].card.items() if key not in ("sha256", "metrics")}
    facts["data"] = "; ".join(dict.fromkeys(one.card["data"] for one in trained))
    facts["command"] = "; ".join([*dict.fromkeys(one.card["command"] for one in trained), "karyo train mean"])
    begun = ", ".join(one.sha256[:8] for one in trained)
    text = f"# {out.stem}\n\nThe mean of the networks whose sha256 begin with {begun}. It has not been measured."
    write_card(out, facts, {}, text)
