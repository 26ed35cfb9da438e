"""Cases whose result is signed, as ``reporting.signed_results`` says."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Select, column, select, table
from sqlalchemy.orm import Session

from db.reporting import REPORTING
from db.schema import Case

SIGNED = "signed"  # state of a sign-off that holds
_VIEW = table("signed_results", column("accession"), column("state"), column("iscn"), schema=REPORTING)


class SignedCase(NamedTuple):
    """A signed case; ``iscn`` is None if the sign-off states no karyotype."""

    case_id: int
    accession: str
    iscn: str | None


def list_signed(session: Session) -> list[SignedCase]:
    """Return the signed cases by accession number, without those that were reopened."""
    signed = (
        select(Case.id, Case.accession, _VIEW.c.iscn)
        .join(_VIEW, _VIEW.c.accession == Case.accession)
        .where(_VIEW.c.state == SIGNED)
        .order_by(Case.accession)
    )
    return [SignedCase(*row) for row in session.execute(signed)]


def signed_case_ids() -> Select[int]:
    """Return the query for the ids of the signed cases."""
    return select(Case.id).join(_VIEW, _VIEW.c.accession == Case.accession).where(_VIEW.c.state == SIGNED)
