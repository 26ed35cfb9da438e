"""Agreement of a pipeline with signed cases, and what forbids its promotion.

A signed karyotype with a structural abnormality is not compared, because the pipeline sees whole chromosomes only. It
still counts where production calls the case abnormal and the pipeline calls it normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from db.result_pairs import StoredCall, list_calls
from db.signed_cases import SignedCase, list_signed
from karyotyping.case.consequence import CaseCall, Consequence, consequence, is_numerical, outcome_of
from karyotyping.case.decision import Outcome
from reports.case_calls import to_call


@dataclass(frozen=True, slots=True)
class SignedAgreement:
    """Signed cases by how a pipeline agrees; its fields are kept in the audit trail."""

    signed: int
    """Signed cases with a karyotype."""
    missing: int
    """Without an up-to-date result of the pipeline."""
    structural: int
    """With a structural abnormality; not compared."""
    no_call: int
    """Neither normal nor abnormal by the pipeline."""
    compared: int
    contradicted: Sequence[int]
    """Ids of the cases with another karyotype, of those compared."""
    became_normal: Sequence[int]
    """Ids of the cases that are signed abnormal and called normal."""

    @property
    def share(self) -> float:
        """Contradicted share of the compared cases, 0..1."""
        return len(self.contradicted) / self.compared if self.compared else 0.0

    def objection(self, max_share: float) -> str | None:
        """Return why the pipeline must not be promoted, a clause; None if nothing forbids it.

        Args:
            max_share: share of the compared cases that may be contradicted, 0..1.
        """
        reasons = []
        if self.became_normal:
            reasons.append(f"calls {len(self.became_normal)} of the signed abnormal cases normal")
        if self.share > max_share:
            reasons.append(
                f"contradicts {len(self.contradicted)} of {self.compared} signed cases ({100 * self.share:.1f} %, and "
                f"{100 * max_share:g} % may be)"
            )
        return " and ".join(reasons) or None


def measure_agreement(session: Session, pipeline_id: int, production_id: int | None = None) -> SignedAgreement:
    """Return how a pipeline agrees with the signed cases.

    Args:
        session: an open transaction.
        pipeline_id: the pipeline.
        production_id: the pipeline in production; None without one.
    """
    signed = [case for case in list_signed(session) if case.iscn]
    ids = [case.case_id for case in signed]
    calls = list_calls(session, pipeline_id, ids)
    in_production = {} if production_id is None else list_calls(session, production_id, ids)
    no_call = structural = compared = 0
    contradicted, became_normal = [], []
    for case in signed:
        if case.case_id not in calls:
            continue
        before, after = _signed_call(case), to_call(calls[case.case_id])
        numerical = is_numerical(case.iscn or "")
        changed = consequence(before, after)
        if not numerical:
            structural += 1
        elif not after.is_call:
            no_call += 1
        else:
            compared += 1
            contradicted += [case.case_id] * changed.is_contradiction
        believed = numerical or _is_abnormal(in_production.get(case.case_id))
        became_normal += [case.case_id] * (believed and changed is Consequence.BECAME_NORMAL)
    missing = sum(case.case_id not in calls for case in signed)
    return SignedAgreement(len(signed), missing, structural, no_call, compared, contradicted, became_normal)


def _signed_call(case: SignedCase) -> CaseCall:
    return CaseCall(outcome_of(case.iscn), case.iscn)


def _is_abnormal(stored: StoredCall | None) -> bool:
    return stored is not None and to_call(stored).outcome is Outcome.ABNORMAL
