"""Refusal of pipelines that contradict signed cases."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from cli.console import fail, warn
from db import pipeline_lifecycle
from db.pipelines import label
from db.schema import Case, Pipeline
from reports.signed_agreement import measure_agreement

MAX_NAMED = 10  # cases that the refusal lists


def check_signed_cases(session: Session, pipeline_id: int, max_share: float, because: str | None) -> dict[str, Any]:
    """Return the agreement with the signed cases, or exit with 1 if it forbids the promotion.

    The result is for the audit trail.

    Args:
        session: an open transaction.
        pipeline_id: the pipeline that would be promoted.
        max_share: share of the signed cases that may be contradicted, 0..1.
        because: the reason of the person, which allows the promotion; None without one.
    """
    production = pipeline_lifecycle.current(session)
    if production is not None and production.id == pipeline_id:
        return {}
    agreement = measure_agreement(session, pipeline_id, production.id if production else None)
    if not agreement.signed:
        return {}
    pipeline = session.get_one(Pipeline, pipeline_id)
    if objection := agreement.objection(max_share):
        if not (because and because.strip()):
            cases = dict.fromkeys([*agreement.became_normal, *agreement.contradicted])
            fail(
                f"pipeline {label(pipeline)} {objection}: {_name(session, list(cases))}. "
                "See `karyo campaign diff production ...`, or promote it with --because"
            )
        warn(f"it {objection}; the audit trail keeps this and the reason")
    elif agreement.missing:
        warn(
            f"it has no result of {agreement.missing} of {agreement.signed} signed cases; "
            f"`karyo campaign create --pipeline {pipeline.digest[:12]} --where signed=yes` compares them"
        )
    return {"signed_cases": asdict(agreement) | {"limit": max_share}}


def _name(session: Session, case_ids: list[int]) -> str:
    """Return the accession numbers of the first cases."""
    named = select(Case.id, Case.accession).where(Case.id.in_(case_ids[:MAX_NAMED]))
    accessions: dict[int, str] = dict(session.execute(named).all())
    more = f" and {len(case_ids) - MAX_NAMED} more" if len(case_ids) > MAX_NAMED else ""
    return ", ".join(accessions[case_id] for case_id in case_ids[:MAX_NAMED]) + more
