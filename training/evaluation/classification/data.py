"""True and predicted classes of single chromosomes, row by row, from their files."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Bools, Floats, Ints
from karyotyping.nomenclature.classes import CLASS_NAMES, class_name

LABELS: tuple[str, ...] = (*CLASS_NAMES, class_name(None))
"""True and predicted labels; the last is no class: debris, a joined pair, a marker."""
NO_CLASS, MISSING = len(LABELS) - 1, -1

Names = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predicted classes of N chromosomes."""

    label: Ints
    """(N,) index into ``LABELS``, ``MISSING`` without a prediction."""
    score: Floats
    """(N,) probability of ``label``, 0..1; NaN without one."""


@dataclass(frozen=True, slots=True)
class ClassComparison:
    """N chromosomes with a known class, and their predictions."""

    file: Names
    true: Ints
    """(N,) index into ``LABELS``."""
    upright: Ints
    """(N,) 1: the p arm is up in the image, -1: down, 0: not known."""
    cell: Names | None
    """(N,) names that are unique over all cases."""
    case: Names
    """(N,) the unit that is resampled."""
    unit: str
    """``case``; ``cell`` if the truth has no cases; ``chromosome`` if it has neither."""
    domains: dict[str, Names]
    """By column of the truth (``report``, ``banding``): (N,) its values."""
    isolated: Predictions
    """Of each chromosome alone."""
    assigned: Predictions | None
    """Of all chromosomes of a cell together."""
    in_top5: Bools
    """(N,) whether the true class is among the five likeliest."""
    p_up: Floats
    """(N,) probability, 0..1, that the p arm is at the upper end of the image; NaN without one."""
    p_no_class: Floats
    """(N,) probability, 0..1, of no class; NaN without one."""
    other_predictions: int
    """Number of predictions for files that the truth does not have."""

    def __len__(self) -> int:
        """Return N."""
        return len(self.true)

    @property
    def predictions(self) -> dict[str, Predictions]:
        """``isolated``, and ``assigned`` if there are any."""
        return {"isolated": self.isolated} | ({"assigned": self.assigned} if self.assigned else {})


DOMAIN_COLUMNS = ("report", "banding")


def read(truth: Path, predictions: Path) -> ClassComparison:
    """Join true and predicted classes by ``file``.

    Args:
        truth: CSV, or a zip with an ``index.csv``, with the columns ``file`` and ``class`` (1..22, X, Y, ``?``; 23 and
            24 are read as X and Y), and perhaps ``cell``, ``case``, ``report``, ``banding`` and ``upright``.
        predictions: CSV with the columns ``file``, ``class``, ``score`` (0..1), ``top5`` (best first, space-separated)
            and perhaps ``assigned_class``, ``assigned_score``, ``p_up``, ``p_unknown``.

    Raises:
        ValueError: a file lacks a column, names a file twice, has no rows, or holds a value that is no class or
            probability.
    """
    rows = _rows(truth, ("file", "class"))
    if not rows:
        raise ValueError(f"{truth} has no rows to evaluate")
    predicted = _rows(predictions, ("file", "class", "score", "top5"))
    row_of = {row["file"]: number for number, row in enumerate(rows)}
    n, place = len(rows), np.array([row_of.get(row["file"], MISSING) for row in predicted], np.int64)
    true = _labels((row["class"] for row in rows), truth)
    known = place != MISSING

    def in_order(values: NDArray[np.generic], empty: float) -> NDArray[np.generic]:
        """Return the predictions' ``values`` in the order of the truth."""
        full = np.full(n, empty, values.dtype)
        full[place[known]] = values[known]
        return full

    def probability(column: str) -> Floats:
        return np.asarray(in_order(_probabilities(predicted, column, predictions), np.nan), np.float64)

    def label(column: str) -> Ints:
        labels = _labels((row.get(column) or "" for row in predicted), predictions, optional=column != "class")
        return np.asarray(in_order(labels, MISSING), np.int64)

    top5 = [_labels(row["top5"].split()[:5], predictions) for row in predicted]
    in_top5 = np.zeros(n, bool)
    in_top5[place[known]] = [true[k] in five for k, five in zip(place.tolist(), top5, strict=True) if k != MISSING]
    isolated = Predictions(label("class"), probability("score"))
    assigned = Predictions(label("assigned_class"), probability("assigned_score"))
    cell, case, unit = _units(rows)
    return ClassComparison(
        file=np.array([row["file"] for row in rows]),
        true=true,
        upright=np.array([_polarity(row.get("upright", ""), truth) for row in rows], np.int64),
        cell=cell,
        case=case,
        unit=unit,
        domains={name: np.array([row[name] for row in rows]) for name in DOMAIN_COLUMNS if name in rows[0]},
        isolated=isolated,
        assigned=assigned if (assigned.label != MISSING).any() else None,
        in_top5=in_top5 | ((true == NO_CLASS) & (isolated.label == NO_CLASS)),
        p_up=probability("p_up"),
        p_no_class=probability("p_unknown"),
        other_predictions=int((~known).sum()),
    )


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    if missing := set(columns) - set(reader.fieldnames or ()):
        raise ValueError(f"{path} lacks the columns {', '.join(sorted(missing))}")
    rows = list(reader)
    for file_name, count in Counter(row["file"] for row in rows).most_common(1):
        if count > 1:
            raise ValueError(f"{path} names {file_name!r} {count} times")
    return rows


def _text(path: Path) -> str:
    if not zipfile.is_zipfile(path):
        return path.read_text("utf-8-sig")
    with zipfile.ZipFile(path) as archive:
        try:
            return archive.read("index.csv").decode("utf-8-sig")
        except KeyError:
            raise ValueError(f"{path} holds no index.csv; give a report with one, or a CSV") from None


def _labels(names: Iterable[str], path: Path, *, optional: bool = False) -> Ints:
    return np.array([MISSING if optional and not name else _label(name, path) for name in names], np.int64)


def _label(text: str, path: Path) -> int:
    name = {"23": "X", "24": "Y"}.get(text.strip().upper(), text.strip().upper())
    if name not in LABELS:
        raise ValueError(f"{path}: {text!r} is no chromosome class; classes are 1 to 22, X, Y and ? for none")
    return LABELS.index(name)


def _probabilities(rows: Sequence[dict[str, str]], column: str, path: Path) -> Floats:
    values = np.full(len(rows), np.nan)
    for number, row in enumerate(rows):
        if text := row.get(column):
            values[number] = float(text)
            if not 0 <= values[number] <= 1:
                raise ValueError(f"{path}: {column} {values[number]} of {row['file']!r} is not within 0..1")
    return values


def _polarity(text: str, path: Path) -> int:
    if text not in ("", "0", "1", "-1"):
        raise ValueError(f"{path}: upright {text!r} is not 1 (p arm up), -1 (p arm down) or 0 (not known)")
    return int(text or 0)


def _units(rows: Sequence[dict[str, str]]) -> tuple[Names | None, Names, str]:
    """Return ``cell``, ``case`` and ``unit``; one name in two domains is two units."""

    def joined(*columns: str) -> Names:
        return np.array(["\t".join(row.get(name) or "" for name in (*DOMAIN_COLUMNS, *columns)) for row in rows])

    cell = joined("case", "cell") if "cell" in rows[0] else None
    if "case" in rows[0]:
        return cell, joined("case"), "case"
    return (cell, cell, "cell") if cell is not None else (None, joined("file"), "chromosome")
