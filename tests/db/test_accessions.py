"""Cases by any spelling of their accession number."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from db import campaigns, queue, reporting
from db.accessions import names_case
from db.schema import Case
from tests.db.conftest import Laboratory

COMPOSED, DECOMPOSED = "M\u00fcller 7", " Mu\u0308ller \u00a0 7"


@pytest.mark.parametrize("spelling", [COMPOSED, DECOMPOSED])
def test_every_read_finds_a_case_by_any_spelling(laboratory: Laboratory, spelling: str) -> None:
    pipeline = laboratory.pipeline(alias="production")
    laboratory.pending(1, COMPOSED, pipeline_id=pipeline)
    laboratory.pending(1, "other", pipeline_id=pipeline)
    for leased in laboratory.leased(2):
        with laboratory.sessions.begin() as session:
            assert queue.fail(session, leased, "empty", "Nothing was found.")
    with laboratory.sessions.begin() as session:
        matching = campaigns.matching_images(session, {"case": spelling})
        assert session.scalar(select(func.count()).select_from(matching.subquery())) == 1
        assert len(reporting.fetch(session, "case_status", {"accession": spelling})[1]) == 1
        assert queue.retry(session, accession=spelling) == 1


def test_the_very_spelling_comes_first(laboratory: Laboratory) -> None:
    """Earlier versions recorded accession numbers as they were given."""
    for accession in (COMPOSED, DECOMPOSED):
        laboratory.images(1, accession)
    with laboratory.sessions() as session:
        for accession in (COMPOSED, DECOMPOSED):
            assert session.scalars(select(Case.accession).where(names_case(accession))).all() == [accession]
        assert session.scalars(select(Case.accession).where(names_case(f"{COMPOSED} "))).all() == [COMPOSED]


@pytest.mark.parametrize("text", ["a\0b", "\udce9", ""])
def test_a_text_that_no_case_can_have_names_none(laboratory: Laboratory, text: str) -> None:
    laboratory.images(1)
    with laboratory.sessions() as session:
        assert session.scalars(select(Case).where(names_case(text))).all() == []
