"""Pipeline versions compared: differences of their documents and agreement of their results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from db.pipelines import production_pipeline
from db.schema import Analysis, CaseResult, Image, Pipeline, QcMetrics, State

ABSENT = "absent"
"""Value of a key that a document does not hold."""


class PipelineState(StrEnum):
    """State of a pipeline version."""

    PRODUCTION = "production"
    CANDIDATE = "candidate"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that differs between two documents."""

    key: str
    """Names of the nested keys, joined by dots."""
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class PipelineSummary:
    """A pipeline version; its fields are the keys of ``karyo models list --json``."""

    id: int
    name: str
    digest: str
    code_version: str
    created_at: datetime
    state: PipelineState
    retired_at: datetime | None
    results: int
    """Images with a result."""
    differences: list[Difference]
    """From the pipeline in production, models and parameters only; empty without one."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two pipelines over the images that both analysed."""

    images: int
    equal_count: int
    """Images with the same number of chromosomes."""
    equal_karyotype: int
    """Images with the same karyotype, or without one in both results."""
    cases: int
    """Cases of these images with a current summary of both pipelines."""
    equal_case_karyotype: int
    """Cases with the same karyotype, or without one in both summaries."""


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """Return the values that differ between two JSON documents, by key.

    >>> differences({"models": {"router": "aa"}, "name": "x"}, {"models": {"router": "bb"}, "name": "x"})
    [Difference(key='models.router', old='aa', new='bb')]
    >>> differences({}, {"tile": 384})
    [Difference(key='tile', old='absent', new=384)]
    """
    before, after = dict(_flatten(old)), dict(_flatten(new))
    pairs = {key: (before.get(key, ABSENT), after.get(key, ABSENT)) for key in sorted(before.keys() | after.keys())}
    return [Difference(key, *pair) for key, pair in pairs.items() if pair[0] != pair[1]]


def list_pipelines(session: Session) -> list[PipelineSummary]:
    """Return every pipeline version, oldest first."""
    done = select(Analysis.pipeline_id, func.count()).where(Analysis.state == State.DONE)
    results = dict(session.execute(done.group_by(Analysis.pipeline_id)).all())
    production_id = session.scalar(production_pipeline())
    production = session.get(Pipeline, production_id) if production_id is not None else None
    return [
        PipelineSummary(
            id=pipeline.id,
            name=pipeline.name,
            digest=pipeline.digest,
            code_version=pipeline.document.get("code_version", ABSENT),
            created_at=pipeline.created_at,
            state=_state(pipeline, production),
            retired_at=pipeline.retired_at,
            results=results.get(pipeline.id, 0),
            differences=differences(_settings(production), _settings(pipeline)) if production else [],
        )
        for pipeline in session.scalars(select(Pipeline).order_by(Pipeline.id))
    ]


def agreement(session: Session, first_id: int, second_id: int) -> Agreement:
    """Return how often two pipelines agree, counted by the database.

    Args:
        session: an open transaction.
        first_id: id of a pipeline.
        second_id: id of another pipeline.
    """
    first, second = aliased(Analysis), aliased(Analysis)
    first_qc, second_qc = aliased(QcMetrics), aliased(QcMetrics)
    both = (
        select(
            first.image_id,
            (first_qc.chromosome_count == second_qc.chromosome_count).label("equal_count"),
            first.iscn.is_not_distinct_from(second.iscn).label("equal_karyotype"),
        )
        .join(second, second.image_id == first.image_id)
        .join(first_qc, first_qc.analysis_id == first.id)
        .join(second_qc, second_qc.analysis_id == second.id)
        .where(first.pipeline_id == first_id, first.state == State.DONE)
        .where(second.pipeline_id == second_id, second.state == State.DONE)
        .cte("both")
    )
    images = select(
        func.count(), func.count().filter(both.c.equal_count), func.count().filter(both.c.equal_karyotype)
    ).select_from(both)
    first_case, second_case = aliased(CaseResult), aliased(CaseResult)
    cases = (
        select(func.count(), func.count().filter(first_case.iscn.is_not_distinct_from(second_case.iscn)))
        .join(second_case, second_case.case_id == first_case.case_id)
        .where(first_case.pipeline_id == first_id, first_case.state == "done")
        .where(second_case.pipeline_id == second_id, second_case.state == "done")
        .where(first_case.case_id.in_(select(Image.case_id).join(both, both.c.image_id == Image.id)))
    )
    return Agreement(*session.execute(images).one(), *session.execute(cases).one())


def _flatten(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _settings(pipeline: Pipeline) -> dict[str, Any]:
    return {key: pipeline.document.get(key, {}) for key in ("models", "parameters")}


def _state(pipeline: Pipeline, production: Pipeline | None) -> PipelineState:
    if production is not None and pipeline.id == production.id:
        return PipelineState.PRODUCTION
    return PipelineState.CANDIDATE if pipeline.retired_at is None else PipelineState.RETIRED
