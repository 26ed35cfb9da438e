"""Keys of the report on classes, as ``karyo evaluate classes`` prints them."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from training.evaluation.statistics import Figure

ReliabilityBin = TypedDict(
    "ReliabilityBin", {"from": float, "to": float, "count": int, "score": float, "accuracy": float}
)
"""Bounds of a bin of scores, the number of its predictions, their mean score, their accuracy."""


class OperatingPoint(TypedDict):
    """The lowest score from which the error is at most a target."""

    target: float
    score: float | None
    """None if no score reaches the target."""
    coverage: float
    accepted: int
    errors: int
    error_upper95: float | None


class CurvePoint(TypedDict):
    """A point of the risk-coverage curve."""

    coverage: float
    score: float
    error: float


class ClassRow(TypedDict):
    """Figures of one class."""

    count: int
    recall: float
    precision: Figure
    mistaken_for: list[str]


class CellTables(TypedDict):
    """Figures of whole cells; a cell is right if every chromosome is."""

    cells: int
    right: int
    calibration_error: Figure
    brier: Figure
    log_loss: Figure
    aurc: Figure
    reliability: list[ReliabilityBin]
    operating_points: list[OperatingPoint]
    risk_coverage: list[CurvePoint]


class Tables(TypedDict):
    """Tables of one set of predictions; those from scores need a score."""

    per_class: dict[str, ClassRow]
    confusion: dict[str, dict[str, int]]
    reliability: NotRequired[list[ReliabilityBin]]
    operating_points: NotRequired[list[OperatingPoint]]
    risk_coverage: NotRequired[list[CurvePoint]]
    by_cell: NotRequired[CellTables]


class Polarity(TypedDict):
    """Figures of the end that is the p arm's."""

    count: int
    accuracy: Figure
    calibration_error: Figure
    brier: Figure
    log_loss: Figure
    wrong_per_class: dict[str, int]


class NoClass(TypedDict):
    """Figures of chromosomes without a class."""

    true: int
    said: int
    recall: Figure
    precision: Figure
    known_refused: Figure
    auroc: Figure


class DomainReport(Tables):
    """Figures of all chromosomes, or of one domain; ``report.report`` explains them."""

    chromosomes: int
    cells: int | None
    cases: int | None
    missing: int
    accuracy_top1: Figure
    accuracy_balanced: Figure
    cells_right: Figure
    calibration_error: Figure
    brier: Figure
    log_loss: Figure
    aurc: Figure
    accuracy_top5: Figure
    accuracy_assigned: NotRequired[Figure]
    accuracy_balanced_assigned: NotRequired[Figure]
    cells_right_assigned: NotRequired[Figure]
    calibration_error_assigned: NotRequired[Figure]
    brier_assigned: NotRequired[Figure]
    log_loss_assigned: NotRequired[Figure]
    aurc_assigned: NotRequired[Figure]
    accuracy_polarity: NotRequired[Figure]
    interval_unit: NotRequired[str]
    interval95: NotRequired[dict[str, list[Figure]]]
    assigned: NotRequired[Tables]
    polarity: NotRequired[Polarity]
    no_class: NotRequired[dict[str, NoClass]]


class ClassReport(DomainReport):
    """The whole report."""

    unknown: int
    by: dict[str, dict[str, DomainReport]]
