"""Validation of the exported embedding network by the code of the pipeline."""

from __future__ import annotations

import json
from pathlib import Path

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
"""File of the predictions of held-out chromosomes."""


def measure_held_out(weights: Path, chromosomes: Chromosomes, folder: Path) -> dict[str, dict[str, float]]:
    """Classify chromosomes; write ``HELD_OUT`` (predictions) and ``metrics.json``.

    Args:
        weights: exported network.
        chromosomes: labelled chromosomes of whole cells.
        folder: folder to write into.

    Returns:
        ``accuracies`` by report.
    """
    predictions = predict_cells(weights, chromosomes)
    joint = np.stack([prediction.joint for prediction in predictions])
    embeddings = [prediction.embedding for prediction in predictions if prediction.embedding is not None]
    np.savez(
        folder / HELD_OUT,
        joint=joint,
        unknown=np.array([prediction.unknown for prediction in predictions]),
        embedding=np.stack(embeddings),
        class_index=chromosomes.class_index,
        upright=chromosomes.upright,
        report=chromosomes.report,
        cell=chromosomes.cell,
        case=chromosomes.case,
        name=chromosomes.name,
    )
    by_report = {
        report: accuracies(
            joint[chosen], chromosomes.class_index[chosen], chromosomes.cell[chosen], chromosomes.upright[chosen]
        )
        for report in sorted(set(chromosomes.report.tolist()))
        if (chosen := chromosomes.report == report).any()
    }
    (folder / "metrics.json").write_text(json.dumps(by_report, indent=2), "utf-8")
    return by_report


def predict_cells(weights: Path, chromosomes: Chromosomes) -> list[Prediction]:
    """Return the prediction of each chromosome, with the size prior of its cell.

    Args:
        weights: exported network.
        chromosomes: chromosomes of whole cells.
    """
    single = predict(chromosomes.visible[:, 0], load_engine(weights, "cpu", Placement(threads=1)))
    predictions = list(single)
    for name in np.unique(chromosomes.cell):
        members = np.flatnonzero(chromosomes.cell == name)
        in_cell = apply_size_prior([single[k] for k in members], chromosomes.size[members])
        for k, prediction in zip(members, in_cell, strict=True):
            predictions[k] = prediction
    return predictions


def accuracies(
    joint: NDArray[np.float64], class_index: NDArray[np.int64], cell: NDArray[np.str_], upright: NDArray[np.bool_]
) -> dict[str, float]:
    """Return the accuracies of predictions.

    Args:
        joint: (N, 24, 2) log-probabilities of class and polarity.
        class_index: (N,) true classes, 0..23.
        cell: (N,) name of the cell of each chromosome.
        upright: (N,) whether the p arm is known to be up.

    Returns:
        Number of ``chromosomes``, and shares 0..1: ``isolated`` (most probable class), ``isolated_top5``, ``assigned``
        (within the cell), and ``polarity`` where it is known.
    """
    evidence = logsumexp(joint, axis=2)
    order = np.argsort(-evidence, axis=1)
    assigned = np.zeros(len(class_index), bool)
    for name in np.unique(cell):
        members = np.flatnonzero(cell == name)
        assignments = assign(evidence[members])
        assigned[members] = [one.class_id == class_index[k] + 1 for k, one in zip(members, assignments, strict=True)]
    shares = {
        "isolated": float((order[:, 0] == class_index).mean()),
        "isolated_top5": float((order[:, :5] == class_index[:, None]).any(axis=1).mean()),
        "assigned": float(assigned.mean()),
    }
    if upright.any():
        up = logsumexp(joint[..., P_UP], axis=1) > np.log(0.5)
        shares["polarity"] = float(up[upright].mean())
    return {"chromosomes": len(class_index)} | {name: round(value, 5) for name, value in shares.items()}
