"""Results of two pipelines side by side: summaries of cases, and metrics of images."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Numeric, SQLColumnExpression, cast, func, select
from sqlalchemy.orm import Session, aliased

from db import pipelines
from db.schema import Analysis, Campaign, Case, CaseResult, Image, Pipeline, QcMetrics, State

MAX_CAMPAIGN_DIGITS = pipelines.MIN_DIGEST_PREFIX - 1  # longer numbers are the beginning of a digest


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a pipeline, and the campaign that limits the cases."""

    pipeline: Pipeline
    campaign: Campaign | None = None

    @property
    def label(self) -> str:
        """Name for sentences and headings."""
        name = pipelines.label(self.pipeline)
        return f"campaign {self.campaign.id} {self.campaign.name!r}: {name}" if self.campaign else name


class StoredCall(NamedTuple):
    """The summary of a case by one pipeline, as far as two of them are compared."""

    iscn: str | None
    resolution: str | None
    outcome: str | None
    """As the summary names it; None in summaries of versions that name none."""
    voters: int | None
    confidence: float | None
    """Posterior of the clones, or share of the voters that agree exactly, 0..1."""


class CasePair(NamedTuple):
    """A case with the summaries of both sides."""

    case_id: int
    accession: str
    before: StoredCall
    after: StoredCall


@dataclass(frozen=True, slots=True)
class CaseCoverage:
    """Cases of a comparison, by which side has a summary that is up to date."""

    both: int
    only_before: int
    only_after: int


@dataclass(frozen=True, slots=True)
class MetricDelta:
    """A metric of the images that both sides measured; means are None without images."""

    metric: str
    images: int
    before: float | None
    after: float | None
    lower: int
    """Images with a lower value after the change."""
    higher: int


def find_side(session: Session, name: str) -> Side:
    """Return the campaign or the pipeline that a person named.

    A campaign has a number and a name, a pipeline alias, name or digest. A number of at most ``MAX_CAMPAIGN_DIGITS``
    digits is a campaign. A pipeline wins over the name of a campaign.

    Args:
        session: an open transaction.
        name: what a person typed.

    Raises:
        UnknownPipeline: nothing has this name, or several things have it.
    """
    if name.isdecimal() and len(name) <= MAX_CAMPAIGN_DIGITS:
        campaign = session.get(Campaign, int(name))
        if campaign is None:
            raise pipelines.UnknownPipeline(f"there is no campaign {name}; `karyo campaign list` shows them")
        return _of_campaign(session, campaign)
    try:
        return Side(pipelines.resolve(session, name, allow_retired=True))
    except pipelines.UnknownPipeline:
        named = session.scalars(select(Campaign).where(Campaign.name == name).order_by(Campaign.id)).all()
        if not named:
            raise
        if len(named) > 1:
            numbers = ", ".join(str(campaign.id) for campaign in named)
            raise pipelines.UnknownPipeline(
                f"{len(named)} campaigns have the name {name!r}; give the number of one: {numbers}"
            ) from None
        return _of_campaign(session, named[0])


def list_case_pairs(session: Session, before: Side, after: Side) -> list[CasePair]:
    """Return the cases with an up-to-date summary of both sides, by accession number."""
    first, second = aliased(CaseResult), aliased(CaseResult)
    query = (
        select(Case.id, Case.accession, *_call(first), *_call(second))
        .join(first, first.case_id == Case.id)
        .join(second, second.case_id == Case.id)
        .where(first.pipeline_id == before.pipeline.id, first.state == "done")
        .where(second.pipeline_id == after.pipeline.id, second.state == "done")
        .where(*_in_scope(Case.id, before, after))
        .order_by(Case.accession)
    )
    size = len(StoredCall._fields)
    rows: Iterable[Sequence[Any]] = session.execute(query)
    return [CasePair(row[0], row[1], StoredCall(*row[2 : 2 + size]), StoredCall(*row[2 + size :])) for row in rows]


def list_calls(session: Session, pipeline_id: int, case_ids: Collection[int]) -> dict[int, StoredCall]:
    """Return the up-to-date summaries of cases by one pipeline, by case id."""
    query = select(CaseResult.case_id, *_call(CaseResult)).where(
        CaseResult.case_id.in_(case_ids), CaseResult.pipeline_id == pipeline_id, CaseResult.state == "done"
    )
    rows: Iterable[Sequence[Any]] = session.execute(query)
    return {row[0]: StoredCall(*row[1:]) for row in rows}


def count_coverage(session: Session, before: Side, after: Side) -> CaseCoverage:
    """Return how many cases both sides summarised, and how many only one."""
    ids = [before.pipeline.id, after.pipeline.id]
    has_first = func.bool_or(CaseResult.pipeline_id == ids[0])
    has_second = func.bool_or(CaseResult.pipeline_id == ids[1])
    by_case = (
        select(has_first.label("first"), has_second.label("second"))
        .where(CaseResult.pipeline_id.in_(ids), CaseResult.state == "done")
        .where(*_in_scope(CaseResult.case_id, before, after))
        .group_by(CaseResult.case_id)
        .subquery()
    )
    first, second = by_case.c.first, by_case.c.second
    counts = [func.count().filter(condition) for condition in (first & second, first & ~second, second & ~first)]
    row: Sequence[int] = session.execute(select(*counts)).one()
    return CaseCoverage(*row)


def measure_deltas(session: Session, before: Side, after: Side) -> list[MetricDelta]:
    """Return the means of each metric over the images that both sides analysed."""
    first, second = aliased(Analysis), aliased(Analysis)
    first_qc, second_qc = aliased(QcMetrics), aliased(QcMetrics)
    pairs: dict[str, tuple[SQLColumnExpression[Any], SQLColumnExpression[Any]]] = {
        "chromosome count": (first_qc.chromosome_count, second_qc.chromosome_count),
        "quality": (first_qc.score, second_qc.score),
        "class confidence": (first_qc.class_confidence, second_qc.class_confidence),
        "unexplained objects": (first_qc.unexplained_objects, second_qc.unexplained_objects),
        "seconds": (first.seconds, second.seconds),
    }
    query = (
        select(*(figure for pair in pairs.values() for figure in _figures(*pair)))
        .select_from(first)
        .join(second, second.image_id == first.image_id)
        .join(first_qc, first_qc.analysis_id == first.id)
        .join(second_qc, second_qc.analysis_id == second.id)
        .join(Image, Image.id == first.image_id)
        .where(first.pipeline_id == before.pipeline.id, first.state == State.DONE)
        .where(second.pipeline_id == after.pipeline.id, second.state == State.DONE)
        .where(*_in_scope(Image.case_id, before, after))
    )
    values = iter(session.execute(query).one())
    return [
        MetricDelta(metric, next(values), _rounded(next(values)), _rounded(next(values)), next(values), next(values))
        for metric in pairs
    ]


def _of_campaign(session: Session, campaign: Campaign) -> Side:
    return Side(session.get_one(Pipeline, campaign.pipeline_id), campaign)


def _call(result: type[CaseResult]) -> Sequence[SQLColumnExpression[Any]]:
    """Return the columns of a ``StoredCall``."""
    posterior = cast(result.summary["posterior"].astext, Numeric)
    confidence = func.coalesce(posterior, result.karyotype_agreement)
    return (
        result.iscn,
        result.resolution,
        result.summary["outcome"].astext,
        result.voters,
        cast(confidence, QcMetrics.score.type),
    )


def _in_scope(case_id: SQLColumnExpression[int], *sides: Side) -> list[ColumnElement[bool]]:
    """Limit cases to those of every campaign among ``sides``."""
    return [
        case_id.in_(
            select(Image.case_id)
            .join(Analysis, Analysis.image_id == Image.id)
            .where(Analysis.campaign_id == side.campaign.id)
        )
        for side in sides
        if side.campaign is not None
    ]


def _figures(old: SQLColumnExpression[Any], new: SQLColumnExpression[Any]) -> list[ColumnElement[Any]]:
    both = old.is_not(None) & new.is_not(None)
    return [
        func.count().filter(both),
        func.avg(old).filter(both),
        func.avg(new).filter(both),
        func.count().filter(new < old),
        func.count().filter(new > old),
    ]


def _rounded(mean: float | None) -> float | None:
    return None if mean is None else round(float(mean), 4)
