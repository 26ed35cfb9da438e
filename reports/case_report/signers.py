"""Who has signed the result of a case."""

from __future__ import annotations

from sqlalchemy.orm import Session

from reports.case_report.document import Signer


def read_signers(session: Session, case_id: int, pipeline_id: int) -> list[Signer]:
    """Return who has signed the result of a pipeline for a case, in order.

    It is empty: the database holds no signatures yet.
    """
    return []
