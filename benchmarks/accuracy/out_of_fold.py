"""Held-out predictions of one or more folds, as the CSV files of ``karyo evaluate classes``.

    python -m benchmarks.accuracy.out_of_fold FOLD.npz ... --out DIR
    karyo evaluate classes DIR/truth.csv DIR/predictions.csv --figures DIR --crops REPORT.zip

Each npz has, for N chromosomes that its network was not trained on, ``joint`` (N, 24, 2), ``unknown`` (N,),
``class_index`` (N,), ``upright`` (N,), and ``name``, ``cell``, ``case``, ``report`` (N,) names. Every cell is assigned
here, with the default prior. With several reports, a file's name starts with its report.

Output: ``truth.csv`` and ``predictions.csv`` in DIR.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from karyotyping.classification.assignment import assign
from karyotyping.classification.prediction import Prediction
from karyotyping.nomenclature.classes import CLASS_NAMES, class_name

COLUMNS = ("joint", "unknown", "class_index", "upright", "name", "cell", "case", "report")
TRUTH = ("file", "class", "cell", "case", "report", "upright")
PREDICTIONS = ("file", "class", "score", "top5", "assigned_class", "assigned_score", "p_up", "p_unknown")

Arrays = dict[str, NDArray[Any]]


def read(folds: Sequence[Path]) -> Arrays:
    """Return the arrays of all folds, joined.

    Raises:
        ValueError: two folds have the same chromosome, so one of them was trained on it.
    """
    parts = []
    for fold in folds:
        with np.load(fold) as stored:
            parts.append({column: stored[column] for column in COLUMNS})
    joined = {column: np.concatenate([part[column] for part in parts]) for column in COLUMNS}
    names = list(zip(joined["report"].tolist(), joined["name"].tolist(), strict=True))
    if len(set(names)) < len(names):
        raise ValueError(f"{len(names) - len(set(names))} chromosomes are in two folds; give folds that share none")
    return joined


def rows(arrays: Arrays) -> Iterator[tuple[dict[str, object], dict[str, object]]]:
    """Yield a row of the truth and one of the predictions for each chromosome, cell by cell."""
    several = len(set(arrays["report"].tolist())) > 1
    for cell in np.unique(arrays["cell"]):
        members = np.flatnonzero(arrays["cell"] == cell).tolist()
        isolated = [Prediction(arrays["joint"][k], float(arrays["unknown"][k])) for k in members]
        assigned = assign([one.log_probabilities for one in isolated], [1 - one.unknown for one in isolated])
        for k, one, whole in zip(members, isolated, assigned, strict=True):
            file = f"{arrays['report'][k]}/{arrays['name'][k]}" if several else str(arrays["name"][k])
            index, (best, score) = int(arrays["class_index"][k]), one.top5[0]
            yield (
                {
                    "file": file,
                    "class": CLASS_NAMES[index] if index >= 0 else class_name(None),
                    "cell": cell,
                    "case": arrays["case"][k],
                    "report": arrays["report"][k],
                    "upright": int(arrays["upright"][k]),
                },
                {
                    "file": file,
                    "class": class_name(best),
                    "score": f"{score * (1 - one.unknown):.6f}",
                    "top5": " ".join(class_name(class_id) for class_id, _ in one.top5),
                    "assigned_class": class_name(whole.class_id),
                    "assigned_score": f"{whole.score:.6f}",
                    "p_up": f"{one.p_up(whole.class_id):.6f}",
                    "p_unknown": f"{one.unknown:.6f}",
                },
            )


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folds", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    pairs = list(rows(read(arguments.folds)))
    for name, columns, side in (("truth", TRUTH, 0), ("predictions", PREDICTIONS, 1)):
        with (arguments.out / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(pair[side] for pair in pairs)


if __name__ == "__main__":
    main()
