"""Two pipelines or campaigns compared: which cases change, and what that means clinically."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.orm import Session

from db.result_pairs import (
    CaseCoverage,
    CasePair,
    MetricDelta,
    Side,
    count_coverage,
    list_case_pairs,
    measure_deltas,
)
from db.signed_cases import list_signed
from karyotyping.case.consequence import CaseCall, Consequence, consequence
from reports.case_calls import to_call
from reports.html import render
from reports.signed_agreement import SignedAgreement, measure_agreement


@dataclass(frozen=True, slots=True)
class CaseChange:
    """A case with both results and the consequence of the change."""

    case_id: int
    case: str
    consequence: Consequence
    before: CaseCall
    after: CaseCall
    signed: str | None
    """Karyotype as signed; None unless the case is signed."""


@dataclass(frozen=True, slots=True)
class PipelineDiff:
    """A comparison of two sides; cases with the gravest consequence come first."""

    before: Side
    after: Side
    coverage: CaseCoverage
    cases: list[CaseChange]
    metrics: list[MetricDelta]
    signed_before: SignedAgreement
    signed_after: SignedAgreement
    objection: str | None
    """Why the guard of promotions refuses the later pipeline, a clause; None if nothing forbids it."""

    @property
    def counts(self) -> dict[Consequence, int]:
        """Cases by consequence, the gravest first; every consequence is a key."""
        counted = Counter(change.consequence for change in self.cases)
        return {kind: counted[kind] for kind in Consequence}

    @property
    def changed(self) -> list[CaseChange]:
        """Cases whose result differs."""
        return [change for change in self.cases if change.consequence is not Consequence.UNCHANGED]


def compare_sides(session: Session, before: Side, after: Side, max_share: float) -> PipelineDiff:
    """Return the comparison of two sides over the cases and images that both have.

    Args:
        session: an open transaction.
        before: the earlier pipeline or campaign.
        after: the later one.
        max_share: share of the signed cases that a promoted pipeline may contradict, 0..1.
    """
    gravity = {kind: place for place, kind in enumerate(Consequence)}
    signed = {case.case_id: case.iscn for case in list_signed(session)}
    changes = [_change(pair, signed.get(pair.case_id)) for pair in list_case_pairs(session, before, after)]
    agreement = measure_agreement(session, after.pipeline.id, before.pipeline.id)
    return PipelineDiff(
        before,
        after,
        count_coverage(session, before, after),
        sorted(changes, key=lambda change: (gravity[change.consequence], change.case)),
        measure_deltas(session, before, after),
        measure_agreement(session, before.pipeline.id),
        agreement,
        agreement.objection(max_share),
    )


def to_document(diff: PipelineDiff) -> dict[str, Any]:
    """Return a comparison as a JSON document."""
    return {
        "before": _side_document(diff.before),
        "after": _side_document(diff.after),
        "coverage": asdict(diff.coverage),
        "consequences": {kind.value: count for kind, count in diff.counts.items()},
        "cases": to_rows(diff),
        "metrics": [asdict(metric) for metric in diff.metrics],
        "signed": {"before": asdict(diff.signed_before), "after": asdict(diff.signed_after)},
        "objection": diff.objection,
    }


def to_rows(diff: PipelineDiff) -> list[dict[str, Any]]:
    """Return one flat row per case, for JSON and Parquet."""
    return [
        {"case": change.case, "consequence": change.consequence.value, "signed_iscn": change.signed}
        | _flat("before", change.before)
        | _flat("after", change.after)
        for change in diff.cases
    ]


def render_html(diff: PipelineDiff) -> str:
    """Return a comparison as one self-contained HTML page."""
    groups = {
        kind: [change for change in diff.changed if change.consequence is kind]
        for kind, count in diff.counts.items()
        if count and kind is not Consequence.UNCHANGED
    }
    return render("diff.html", diff=diff, groups=groups, describe=describe, signed=signed_rows(diff))


def describe(call: CaseCall) -> str:
    """Return a result as a person reads it.

    >>> from karyotyping.case.decision import Outcome
    >>> describe(CaseCall(Outcome.NORMAL, "46,XX", 12, 0.75))
    '46,XX, 12 cells, 0.75'
    >>> describe(CaseCall(Outcome.INSUFFICIENT, None))
    'insufficient'
    """
    name = call.iscn if call.is_call else f"{call.outcome.value}{f' ({call.iscn})' if call.iscn else ''}"
    cells = None if call.voters is None else f"{call.voters} cell{'s' * (call.voters != 1)}"
    confidence = None if call.confidence is None else f"{call.confidence:.2f}"
    return ", ".join(filter(None, (name, cells, confidence)))


def signed_rows(diff: PipelineDiff) -> list[tuple[str, int, int]]:
    """Return the agreement of both sides with all signed cases: what is counted, before, after."""
    old, new = diff.signed_before, diff.signed_after
    return [
        ("signed", old.signed, new.signed),
        ("without a result", old.missing, new.missing),
        ("structural, not compared", old.structural, new.structural),
        ("no call", old.no_call, new.no_call),
        ("compared", old.compared, new.compared),
        ("contradicted", len(old.contradicted), len(new.contradicted)),
        ("signed abnormal, called normal", len(old.became_normal), len(new.became_normal)),
    ]


def _change(pair: CasePair, signed: str | None) -> CaseChange:
    before, after = to_call(pair.before), to_call(pair.after)
    return CaseChange(pair.case_id, pair.accession, consequence(before, after), before, after, signed)


def _side_document(side: Side) -> Mapping[str, Any]:
    return {
        "pipeline": side.pipeline.name,
        "digest": side.pipeline.digest,
        "campaign": side.campaign.id if side.campaign else None,
    }


def _flat(prefix: str, call: CaseCall) -> dict[str, Any]:
    return {
        f"{prefix}_outcome": call.outcome.value,
        f"{prefix}_iscn": call.iscn,
        f"{prefix}_voters": call.voters,
        f"{prefix}_confidence": call.confidence,
    }
