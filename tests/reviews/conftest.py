"""Finished cases, and what people do to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from db.engine import SessionFactory
from db.schema import Case, SignOff
from karyotyping.review import Correction
from reviews import CaseReview, CorrectedCell, correct, read_case, sign
from tests.support.reviewed import FEMALE, ReviewLaboratory


class People(ReviewLaboratory):
    """A laboratory whose people correct and sign; each method is one transaction."""

    def correct(self, analysis_id: int, correction: Correction, by: str = "Ada", **more: Any) -> CorrectedCell:
        with self.sessions.begin() as session:
            return correct(session, analysis_id, correction, reviewer=by, actor="ada@lab", **more)

    def sign(self, by: str = "Ada", accession: str = "A-1", *, required: int = 2, **more: Any) -> SignOff:
        with self.sessions.begin() as session:
            case = session.scalars(select(Case).where(Case.accession == accession)).one()
            return sign(session, case, reader=by, actor="ada@lab", required=required, **more)

    def read(self, accession: str = "A-1") -> CaseReview:
        with self.sessions() as session:
            return read_case(session, session.scalars(select(Case).where(Case.accession == accession)).one())

    def state(self, accession: str = "A-1") -> str:
        return self.read(accession).state


def classes(*changed: tuple[int, int | None]) -> Sequence[int | None]:
    """Return the classes of 46,XX by number, with some changed."""
    result: list[int | None] = list(FEMALE)
    for number, class_id in changed:
        result[number] = class_id
    return result


@pytest.fixture
def people(session_factory: SessionFactory) -> People:
    """A laboratory with one pipeline, which is in production, and no case."""
    return People(session_factory)
