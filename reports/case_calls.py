"""Results of cases as the science compares them."""

from __future__ import annotations

from db.result_pairs import StoredCall
from karyotyping.case.consequence import CaseCall, outcome_of
from karyotyping.case.decision import Outcome


def to_call(stored: StoredCall) -> CaseCall:
    """Return the result of a case from its summary; without an outcome, the karyotype decides."""
    outcome = Outcome(stored.outcome) if stored.outcome else outcome_of(stored.iscn, stored.resolution)
    return CaseCall(outcome, stored.iscn, stored.voters, stored.confidence)
