"""Predicted classes of single chromosomes against their truth."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from karyotyping.cell import CLASS_NAMES

CALIBRATION_BINS = 15


@dataclass(frozen=True, slots=True)
class Prediction:
    """One row: what a classifier says about one chromosome."""

    label: str
    score: float
    top5: tuple[str, ...]
    assigned: str | None


def evaluate_classes(truth: Path, predictions: Path) -> dict[str, Any]:
    """Compare predicted classes with true ones.

    Args:
        truth: CSV with columns ``file`` and ``class`` (1..22, X, Y; 23 and 24 are read as X and Y).
        predictions: CSV with columns ``file``, ``class``, ``score`` (0..1), ``top5`` (best first, space-separated) and
            perhaps ``assigned_class``, the class after assigning a whole cell together.

    Returns:
        ``accuracy_top1`` and ``accuracy_top5`` (the paper's Acc@1 and Acc@5), ``accuracy_assigned`` if there are
        assigned classes, ``calibration_error`` (ECE in 15 equal bins of score, Guo et al. 2017), ``per_class`` with
        precision, recall and the most frequent mistakes, and ``confusion``: counts by true class, then by predicted
        class. A chromosome without a prediction counts as wrong, and ``missing`` says how many; ``unknown`` predictions
        are for files that the truth does not have.

    Raises:
        ValueError: a file lacks a column, names a file twice or holds something that is no class or score.
    """
    true = {row["file"]: _label(row["class"], truth) for row in _rows(truth, ("file", "class"))}
    if not true:
        raise ValueError(f"{truth} has no rows to evaluate")
    rows = _rows(predictions, ("file", "class", "score", "top5"))
    predicted = {row["file"]: _prediction(row, predictions) for row in rows}
    pairs = [(label, predicted[file]) for file, label in true.items() if file in predicted]
    report: dict[str, Any] = {
        "chromosomes": len(true),
        "missing": len(true) - len(pairs),
        "unknown": len(predicted.keys() - true.keys()),
        "accuracy_top1": sum(label == said.label for label, said in pairs) / len(true),
        "accuracy_top5": sum(label in said.top5 for label, said in pairs) / len(true),
        "calibration_error": _calibration_error(pairs),
    }
    if any(said.assigned for said in predicted.values()):
        report["accuracy_assigned"] = sum(label == said.assigned for label, said in pairs) / len(true)
    confusion = {name: Counter(said.label for label, said in pairs if label == name) for name in CLASS_NAMES}
    wanted = Counter(true.values())
    report["per_class"] = {name: _per_class(name, confusion, wanted[name]) for name in CLASS_NAMES if wanted[name]}
    report["confusion"] = {name: dict(said.most_common()) for name, said in confusion.items() if wanted[name]}
    return report


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if missing := set(columns) - set(reader.fieldnames or ()):
            raise ValueError(f"{path} lacks the columns {', '.join(sorted(missing))}")
        rows = list(reader)
    for file_name, count in Counter(row["file"] for row in rows).most_common(1):
        if count > 1:
            raise ValueError(f"{path} names {file_name!r} {count} times")
    return rows


def _label(text: str, path: Path) -> str:
    name = {"23": "X", "24": "Y"}.get(text.strip().upper(), text.strip().upper())
    if name not in CLASS_NAMES:
        raise ValueError(f"{path}: {text!r} is no chromosome class; classes are 1 to 22, X and Y")
    return name


def _prediction(row: Mapping[str, str], path: Path) -> Prediction:
    score, assigned = float(row["score"]), row.get("assigned_class")
    if not 0 <= score <= 1:
        raise ValueError(f"{path}: score {score} of {row['file']!r} is not within 0..1")
    top5 = tuple(_label(name, path) for name in row["top5"].split())
    return Prediction(_label(row["class"], path), score, top5[:5], _label(assigned, path) if assigned else None)


def _calibration_error(pairs: Sequence[tuple[str, Prediction]]) -> float | None:
    if not pairs:
        return None
    scores = np.array([said.score for _, said in pairs])
    right = np.array([label == said.label for label, said in pairs])
    bins = np.minimum((scores * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [abs((right[bins == b] - scores[bins == b]).sum()) for b in range(CALIBRATION_BINS)]
    return float(sum(gaps) / len(pairs))


def _per_class(name: str, confusion: Mapping[str, Counter[str]], wanted: int) -> dict[str, Any]:
    said = sum(counts[name] for counts in confusion.values())
    right = confusion[name][name]
    return {
        "count": wanted,
        "recall": right / wanted,
        "precision": right / said if said else None,
        "mistaken_for": [other for other, _ in confusion[name].most_common(4) if other != name][:3],
    }
