"""Reports for a laboratory's director: the question of each, its period, and its chart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from db.reporting import Period

WEEK = Period("week", "week")
MONTH = Period("month", "month")


@dataclass(frozen=True, slots=True)
class Chart:
    """Columns of a chart: lines over time, or bars of the first rows."""

    x: str
    y: tuple[str, ...]
    label: str
    """Meaning and unit of ``y``."""
    by: tuple[str, ...] = ()
    """Columns that name a line; the rows of a line differ in ``x``."""
    kind: Literal["lines", "bars"] = "lines"


@dataclass(frozen=True, slots=True)
class Presentation:
    """How a view of schema ``reporting`` is shown."""

    title: str
    question: str = ""
    period: Period | None = None
    """Column that ``--from`` and ``--to`` limit; None if the report has no time."""
    order: tuple[str, ...] = field(default=())
    chart: Chart | None = None


PRESENTATIONS = {
    "turnaround": Presentation(
        "Turnaround",
        "How long does a case take from receipt to analysis, and from analysis to signature?",
        WEEK,
        ("week",),
        Chart("week", ("to_analysis_median_hours", "to_signature_median_hours", "whole_median_hours"), "hours, median"),
    ),
    "backlog_forecast": Presentation(
        "Backlog and its end",
        "How much waits, how old is it, and when does it end at the present rate?",
        order=("images_before",),
        chart=Chart("priority", ("images",), "images that have not ended", kind="bars"),
    ),
    "worklist": Presentation(
        "Cases to see first",
        "Which analysed cases need a person, and in which order?",
        Period("received_at"),
        ("place",),
    ),
    "karyotypes": Presentation(
        "Karyotypes",
        "Which karyotypes do the pipelines find, by tissue and month?",
        MONTH,
        ("month", "tissue", "pipeline", "pipeline_digest", "cases", "karyotype"),
        Chart("month", ("share",), "share of resolved cases, 0..1", by=("karyotype", "tissue", "pipeline_digest")),
    ),
    "abnormality_rate": Presentation(
        "Abnormality rate",
        "What share of the cases is abnormal, by tissue and month?",
        MONTH,
        ("month", "tissue", "pipeline", "pipeline_digest"),
        Chart(
            "month",
            ("abnormal_share",),
            "abnormal cases of the called ones, 0..1",
            by=("tissue", "pipeline", "pipeline_digest"),
        ),
    ),
    "qc_drift": Presentation(
        "Drift of image quality",
        "Does a microscope, slide or laboratory get worse?",
        WEEK,
        ("week", "dimension", "name", "pipeline_digest"),
        Chart("week", ("score",), "mean score of the images, 0..1", by=("dimension", "name", "pipeline_digest")),
    ),
    "failures_weekly": Presentation(
        "Failures by reason",
        "Why were files rejected and images not analysed, and does that change?",
        WEEK,
        ("week", "stage", "reason"),
        Chart("week", ("images",), "images", by=("reason", "pipeline_digest")),
    ),
    "concordance": Presentation(
        "Agreement of pipelines",
        "How often do two pipelines agree on the same cases?",
        MONTH,
        ("month", "first_digest", "second_digest"),
        Chart(
            "month", ("same_outcome_share",), "cases with the same outcome, 0..1", by=("first_digest", "second_digest")
        ),
    ),
    "reviewer_edits": Presentation(
        "Edits by reviewer",
        "How many corrections does a cell need, by reviewer?",
        WEEK,
        ("week", "reviewer"),
        Chart("week", ("edits_per_cell",), "edits per cell", by=("reviewer",)),
    ),
    "class_edits": Presentation(
        "Edits by class",
        "Which chromosomes do people correct most?",
        MONTH,
        ("month", "pipeline", "pipeline_digest", "class"),
        Chart("class", ("edits",), "edits", kind="bars"),
    ),
    "model_drift": Presentation(
        "Drift of the pipelines",
        "Is a pipeline less sure than before?",
        WEEK,
        ("week", "pipeline", "pipeline_digest"),
        Chart("week", ("confidence_median",), "median class confidence, 0..1", by=("pipeline", "pipeline_digest")),
    ),
    "case_cost": Presentation(
        "Cost of a case",
        "What does a case cost in computing time and storage?",
        WEEK,
        ("week", "pipeline", "pipeline_digest"),
        Chart(
            "week",
            ("seconds_per_case_median",),
            "computing time of a case, s, median",
            by=("pipeline", "pipeline_digest"),
        ),
    ),
    "case_runs": Presentation("Cases and pipelines", period=Period("received_at"), order=("received_at",)),
    "case_status": Presentation("Cases", period=Period("received_at"), order=("accession",)),
    "image_quality": Presentation("Image quality", period=Period("analysed_at"), order=("analysed_at",)),
    "signed_results": Presentation("Signed results", period=Period("signed_at"), order=("signed_at",)),
    "throughput": Presentation("Throughput by hour", period=Period("hour", "hour"), order=("hour",)),
    "throughput_daily": Presentation("Throughput by day", period=Period("day", "day"), order=("day",)),
    "failures_by_reason": Presentation("Failures"),
    "backlog": Presentation("Backlog"),
    "freshness": Presentation("Age of the reports", order=("report",)),
}
"""Presentation by the name of the view; those with a question are for directors."""
