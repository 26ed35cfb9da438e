"""A case is erased while a worker analyses it, and does not come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from db import discarded_objects, erasure
from db.schema import Case, CaseResult, DiscardedObject, Image

if TYPE_CHECKING:
    from tests.support.laboratory import Laboratory

pytestmark = pytest.mark.stack


def test_a_worker_that_holds_an_erased_case_leaves_nothing_of_it(laboratory: Laboratory) -> None:
    pipeline = laboratory.pipeline(seconds=1.0)
    laboratory.add(pipeline, 4, prefix="erased", accession="Q-7")
    laboratory.worker()
    laboratory.scheduler()
    laboratory.wait(lambda: any(one.started_at for one in laboratory.analyses()))
    with laboratory.sessions.begin() as session:
        erased = erasure.erase(session, "Q-7", actor="ada@lab", because="consent withdrawn")
    assert erased is not None
    assert erased.running > 0
    discarded_objects.remove(laboratory.sessions.transact, laboratory.store.delete)
    laboratory.wait(lambda: "lease.lost" in laboratory.log())
    laboratory.add(laboratory.pipeline(), 1, prefix="next", accession="B-2")
    laboratory.wait(laboratory.summarised)  # by the same process, which has ended its work on the other case
    with laboratory.sessions() as session:
        assert session.scalars(select(Case.accession)).all() == ["B-2"]
        counts = [
            session.scalar(select(func.count()).select_from(table)) for table in (Image, CaseResult, DiscardedObject)
        ]
    assert counts == [1, 1, 0]
    (analysis,) = laboratory.analyses()
    assert analysis.artefacts is not None
    assert len(list(laboratory.store.keys())) == 1 + len(set(analysis.artefacts.values()))
