"""The case that an accession number names."""

from __future__ import annotations

from sqlalchemy import ColumnElement, false, select

from db.schema import Case
from db.spelling import is_storable, normalise


def names_case(accession: str) -> ColumnElement[bool]:
    """Return the condition on ``cases`` of the case that ``accession`` names, in any spelling.

    A case with this very spelling comes first: cases of earlier versions may have one that is not normalised.
    """
    if not is_storable(accession):
        return false()
    spellings = select(Case.accession).where(Case.accession.in_((accession, normalise(accession))))
    nearest = spellings.order_by((Case.accession == accession).desc()).limit(1)
    return Case.accession == nearest.correlate(None).scalar_subquery()
