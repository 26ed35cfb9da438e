"""The report on instances as one table: a row for each domain, and one for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_SHOWN: tuple[tuple[str, str, str], ...] = (
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


def domain_table(report: dict[str, Any], field: str, view: str = "counted") -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the figures ``by`` a field, each above its 95 % interval if there is one.

    Args:
        report: what ``training.evaluation.instances.report.report`` says, by ``field``.
        field: heading of the first column.
        view: ``counted`` or ``excused``.
    """
    summary = report["summary"]
    parts = report["by"] | {"all": {**summary, view: report[view]}}
    shown = [column for column in _SHOWN if column[1] in report[view]]
    rows = [
        [name, str(part["images"]), str(part["chromosomes"]), *(_cell(part[view][kind], key) for _, kind, key in shown)]
        for name, part in parts.items()
    ]
    return [field, "images", "chromosomes", *(heading for heading, _, _ in shown)], rows


def _cell(figures: dict[str, Any], name: str) -> str:
    bounds: Sequence[float | None] = figures.get("interval95", {}).get(name, ())
    return "\n".join([_number(figures[name]), *(["-".join(map(_number, bounds))] if bounds else [])])


def _number(value: float | None) -> str:
    """
    >>> _number(0.8764), _number(12.345), _number(None)
    ('.876', '12.35', '-')
    """
    if value is None:
        return "-"
    return f"{value:.3f}".removeprefix("0") if value < 1 else f"{value:.2f}"
