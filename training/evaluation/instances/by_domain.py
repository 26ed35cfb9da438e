"""The report on instances as one table: a row for each domain, and one for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from training.evaluation.instances.schema import InstanceFigures, InstanceReport

_Column = Literal["AP50", "mAP", "mAR", "AER", "Acc", "WCR", "clinical_precision", "clinical_recall", "edits"]
_COLUMNS: tuple[tuple[str, Literal["bbox", "segm"], _Column], ...] = (
    ("box AP.5", "bbox", "AP50"),
    ("mAP", "bbox", "mAP"),
    ("mAR", "bbox", "mAR"),
    ("mask AP.5", "segm", "AP50"),
    ("mAP", "segm", "mAP"),
    ("AER", "bbox", "AER"),
    ("Acc", "bbox", "Acc"),
    ("WCR", "bbox", "WCR"),
    ("precision", "segm", "clinical_precision"),
    ("recall", "segm", "clinical_recall"),
    ("edits", "segm", "edits"),
)
"""Heading, kind and figure of each column; precision and recall are the clinical ones."""


def domain_table(
    report: InstanceReport, field: str, view: Literal["counted", "excused"] = "counted"
) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of the figures ``by`` a field, with their 95 % intervals.

    Args:
        report: by ``field``, from ``training.evaluation.instances.report.report``.
        field: heading of the first column.
        view: which figures.
    """
    summary, domains = report["summary"], report["by"]
    parts = [(name, part["images"], part["chromosomes"], part[view]) for name, part in domains.items()]
    parts.append(("all", summary["images"], summary["chromosomes"], report[view]))
    columns = [column for column in _COLUMNS if column[1] in report[view]]
    rows = [
        [name, str(images), str(chromosomes), *(_cell(figures[kind], key) for _, kind, key in columns)]
        for name, images, chromosomes, figures in parts
    ]
    return [field, "images", "chromosomes", *(heading for heading, _, _ in columns)], rows


def _cell(figures: InstanceFigures, name: _Column) -> str:
    bounds: Sequence[float | None] = figures.get("interval95", {}).get(name, ())
    return "\n".join([_number(figures[name]), *(["-".join(map(_number, bounds))] if bounds else [])])


def _number(value: float | None) -> str:
    """Write a figure with three digits.

    >>> _number(0.8764), _number(12.345), _number(None)
    ('.876', '12.35', '-')
    """
    if value is None:
        return "-"
    return f"{value:.3f}".removeprefix("0") if value < 1 else f"{value:.2f}"
