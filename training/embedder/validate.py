"""What the exported network says of chromosomes that it never saw, by the code that runs in production."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from karyotyping.classification.assignment import assign
from karyotyping.classification.embedder import predict
from karyotyping.classification.prediction import P_UP, Prediction
from karyotyping.classification.size_prior import apply_size_prior
from models.engine import Placement, load_engine
from training.embedder.data import Chromosomes

HELD_OUT = "held-out.npz"


def measure_held_out(weights: Path, chromosomes: Chromosomes, folder: Path) -> dict[str, Any]:
    """Classify ``chromosomes``; keep every answer in ``HELD_OUT`` and the accuracies in ``metrics.json``."""
    said = predict_cells(weights, chromosomes)
    joint = np.stack([one.joint for one in said])
    np.savez(
        folder / HELD_OUT,
        joint=joint,
        unknown=np.array([one.unknown for one in said]),
        embedding=np.stack([one.embedding for one in said if one.embedding is not None]),
        class_index=chromosomes.class_index,
        upright=chromosomes.upright,
        report=chromosomes.report,
        cell=chromosomes.cell,
        case=chromosomes.case,
        name=chromosomes.name,
    )
    measured = {
        report: accuracies(
            joint[chosen], chromosomes.class_index[chosen], chromosomes.cell[chosen], chromosomes.upright[chosen]
        )
        for report in sorted(set(chromosomes.report.tolist()))
        if (chosen := chromosomes.report == report).any()
    }
    (folder / "metrics.json").write_text(json.dumps(measured, indent=2), "utf-8")
    return measured


def predict_cells(weights: Path, chromosomes: Chromosomes) -> list[Prediction]:
    """What the exported network says of each, and its size in its cell."""
    alone = predict(chromosomes.visible[:, 0], load_engine(weights, "cpu", Placement(threads=1)))
    said = list(alone)
    for name in np.unique(chromosomes.cell):
        members = np.flatnonzero(chromosomes.cell == name)
        together = apply_size_prior([alone[k] for k in members], chromosomes.size[members])
        for k, one in zip(members, together, strict=True):
            said[k] = one
    return said


def accuracies(
    joint: NDArray[np.float64], class_index: NDArray[np.int64], cell: NDArray[np.str_], upright: NDArray[np.bool_]
) -> dict[str, float]:
    """Shares of chromosomes: right alone, among the best five, assigned within their cell, and p arm up."""
    evidence = logsumexp(joint, axis=2)
    order = np.argsort(-evidence, axis=1)
    assigned = np.zeros(len(class_index), bool)
    for name in np.unique(cell):
        members = np.flatnonzero(cell == name)
        said = assign(evidence[members])
        assigned[members] = [one.class_id == class_index[k] + 1 for k, one in zip(members, said, strict=True)]
    found = {
        "isolated": float((order[:, 0] == class_index).mean()),
        "isolated_top5": float((order[:, :5] == class_index[:, None]).any(axis=1).mean()),
        "assigned": float(assigned.mean()),
    }
    if upright.any():
        up = logsumexp(joint[..., P_UP], axis=1) > np.log(0.5)
        found["polarity"] = float(up[upright].mean())
    return {"chromosomes": len(class_index)} | {name: round(value, 5) for name, value in found.items()}
