"""Figures of judged cases: sensitivity, specificity, exact ISCN, edits, risk and coverage."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from karyotyping.case.decision import Outcome
from training.evaluation.cases.truth import LeftOut, TruthKind
from training.evaluation.cases.verdict import RIGHT_OUTCOMES, JudgedCase, Verdict
from training.evaluation.classification.calibration import RiskCoverage
from training.evaluation.classification.schema import OperatingPoint
from training.evaluation.statistics import Figure, nan_to_none, ratio, share_upper_bound, wilson_interval

TARGET = 0.001  # share of errors among cases that are accepted unseen, 0..1
_POSTERIORS = (0.95, 0.99, 0.999, 0.9999, 0.99999)  # thresholds of the table, 0..1
_CONFIDENCE = 0.95  # of a bound, 0..1


class Proportion(TypedDict):
    """A share with its 95 % interval; the figures are None where there is no case."""

    count: int
    of: int
    share: Figure
    low: Figure
    high: Figure


class Figures(TypedDict):
    """Shares over cases whose truth has no structural abnormality."""

    sensitivity: Proportion
    """Abnormal cases called abnormal, of the abnormal ones that are called."""
    specificity: Proportion
    """Normal cases called normal, of the normal ones that are called."""
    sensitivity_of_all: Proportion
    """The same, of all abnormal cases."""
    specificity_of_all: Proportion
    exact_iscn: Proportion
    """Cases with exactly the cell lines of the truth, of the called ones with a signed karyotype."""
    exact_iscn_of_all: Proportion
    called: Proportion
    suspected: Proportion
    insufficient: Proportion


class Edits(TypedDict):
    """Edits of called cells whose karyotype is known."""

    cells: int
    per_cell: Figure
    without_edit: Proportion


class Accepted(TypedDict):
    """Cases of at least a posterior."""

    posterior: float
    accepted: int
    coverage: float
    errors: int
    error: Figure
    error_upper95: Figure


class RiskDocument(TypedDict):
    """Errors among the called cases of high posterior."""

    cases: int
    """Called or not; no posterior covers those that are not called."""
    auto_accept: OperatingPoint
    """The lowest posterior from which the error is at most the target."""
    is_shown: bool
    """Whether the bound of the error at this posterior is at most the target, too."""
    needed: int
    """Accepted cases without an error that show the target."""
    table: list[Accepted]


class CaseRow(TypedDict):
    """One row of ``validation.csv``."""

    case: str
    truth: str
    truth_kind: str
    outcome: str
    karyotype: str | None
    verdict: str
    posterior: float
    images: int
    analysed: int
    known_cells: int
    edits: int
    why: str


class CaseReport(TypedDict):
    """Figures of a validation, and a row for each case."""

    judged: int
    outcomes: dict[str, dict[str, int]]
    """Number of cases by truth and outcome."""
    verdicts: dict[str, int]
    figures: Figures
    edits: Edits
    risk: RiskDocument
    left_out: list[dict[str, str]]
    cases: list[CaseRow]


CASE_COLUMNS = tuple(CaseRow.__annotations__)


def case_report(cases: Sequence[JudgedCase], left_out: Sequence[LeftOut] = ()) -> CaseReport:
    """Return the figures of at least one judged case.

    Args:
        cases: cases with a readable truth and images.
        left_out: all other cases.
    """
    cross = Counter((case.truth.kind, case.judgement.outcome) for case in cases)
    verdicts = Counter(case.verdict for case in cases)
    return {
        "judged": len(cases),
        "outcomes": {kind.value: {one.value: cross[kind, one] for one in Outcome} for kind in TruthKind},
        "verdicts": {verdict.value: verdicts[verdict] for verdict in Verdict},
        "figures": _figures([case for case in cases if case.truth.kind != TruthKind.STRUCTURAL]),
        "edits": _edits([edits for case in cases for edits in case.edits]),
        "risk": _risk(risk_curve(cases)),
        "left_out": [{"case": one.case, "why": one.why} for one in left_out],
        "cases": [_row(case) for case in cases],
    }


def risk_curve(cases: Sequence[JudgedCase]) -> RiskCoverage:
    """Return the errors among the cases of at least a posterior, for every posterior.

    An error is a called karyotype, or outcome where no karyotype is signed, that is not the signed one. Cases with a
    structural abnormality are left out.
    """
    examined = [case for case in cases if case.truth.kind != TruthKind.STRUCTURAL]
    posterior = [case.judgement.posterior if case.judgement.is_called else math.nan for case in examined]
    return RiskCoverage.of(np.array(posterior, float), np.array([case.is_right for case in examined], bool))


def proportion(count: int, of: int) -> Proportion:
    """Return a share with its 95 % interval.

    >>> proportion(0, 20)["high"]
    0.1611
    """
    low, high = wilson_interval(count, of, _CONFIDENCE) if of else (math.nan, math.nan)
    share, low, high = (nan_to_none(round(value, 4)) for value in (ratio(count, of), low, high))
    return {"count": count, "of": of, "share": share, "low": low, "high": high}


def _figures(cases: Sequence[JudgedCase]) -> Figures:
    called = [case for case in cases if case.judgement.is_called]
    exact = sum(case.verdict == Verdict.EXACT for case in cases)

    def right(kind: TruthKind, among: Sequence[JudgedCase]) -> Proportion:
        own = [case for case in among if case.truth.kind == kind]
        return proportion(sum(case.verdict in RIGHT_OUTCOMES for case in own), len(own))

    def with_outcome(outcome: Outcome) -> Proportion:
        return proportion(sum(case.judgement.outcome == outcome for case in cases), len(cases))

    return {
        "sensitivity": right(TruthKind.ABNORMAL, called),
        "specificity": right(TruthKind.NORMAL, called),
        "sensitivity_of_all": right(TruthKind.ABNORMAL, cases),
        "specificity_of_all": right(TruthKind.NORMAL, cases),
        "exact_iscn": proportion(exact, sum(bool(case.truth.lines) for case in called)),
        "exact_iscn_of_all": proportion(exact, sum(bool(case.truth.lines) for case in cases)),
        "called": proportion(len(called), len(cases)),
        "suspected": with_outcome(Outcome.SUSPECTED),
        "insufficient": with_outcome(Outcome.INSUFFICIENT),
    }


def _edits(edits: Sequence[int]) -> Edits:
    return {
        "cells": len(edits),
        "per_cell": nan_to_none(round(ratio(sum(edits), len(edits)), 3)),
        "without_edit": proportion(sum(not one for one in edits), len(edits)),
    }


def _risk(curve: RiskCoverage) -> RiskDocument:
    best = curve.operating_point(TARGET)
    bound = best["error_upper95"]
    return {
        "cases": curve.total,
        "auto_accept": best,
        "is_shown": bound is not None and bound <= TARGET,
        "needed": math.ceil(math.log(1 - _CONFIDENCE) / math.log(1 - TARGET)),
        "table": [_accepted(curve, posterior) for posterior in _POSTERIORS],
    }


def _accepted(curve: RiskCoverage, posterior: float) -> Accepted:
    """Return how many cases have at least a posterior, and their errors."""
    reached = int((curve.score >= posterior).sum())
    accepted = int(curve.accepted[reached - 1]) if reached else 0
    errors = int(curve.errors[reached - 1]) if reached else 0
    return {
        "posterior": posterior,
        "accepted": accepted,
        "coverage": ratio(accepted, curve.total) if curve.total else 0.0,
        "errors": errors,
        "error": nan_to_none(ratio(errors, accepted)),
        "error_upper95": share_upper_bound(errors, accepted) if accepted else None,
    }


def _row(case: JudgedCase) -> CaseRow:
    return {
        "case": case.truth.case,
        "truth": case.truth.text,
        "truth_kind": case.truth.kind.value,
        "outcome": case.judgement.outcome.value,
        "karyotype": case.karyotype,
        "verdict": case.verdict.value,
        "posterior": round(case.judgement.posterior, 6),
        "images": case.images,
        "analysed": case.analysed,
        "known_cells": len(case.edits),
        "edits": sum(case.edits),
        "why": case.judgement.why,
    }
