"""Who has signed a case, and which karyotype."""

from __future__ import annotations

from sqlalchemy.orm import Session

from db.reviews import find_sign_off
from db.schema import Case, Pipeline
from reports.case_report.document import SignOff


def read_sign_off(session: Session, case: Case) -> SignOff | None:
    """Return the last sign-off of a case; None without one."""
    found = find_sign_off(session, case)
    if found is None:
        return None
    row, state = found
    return SignOff(
        state=state,
        karyotype=row.iscn,
        readers=[name for name in (row.first_reader, row.reader) if name],
        signed_at=row.created_at,
        pipeline_digest=session.get_one(Pipeline, row.pipeline_id).digest,
    )
