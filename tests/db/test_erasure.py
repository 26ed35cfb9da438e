"""Erasure of a case: nothing of it stays, and the chain of events holds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from db import audit, campaigns, discarded_objects, erasure, queue
from db.engine import SessionFactory
from db.erasure import Erased
from db.schema import Analysis, Campaign, Case, CaseResult, Chromosome, Image, IngestBatch, Rejection, Schedule
from storage import DirectoryStore, ObjectStore
from tests.db.conftest import Laboratory

CASE = "Q 7-1"
WHY = "the patient withdrew consent"
BYSTANDER = {"because": "better than for Q 7-12", "images": 7}


def erase(sessions: SessionFactory, accession: str = CASE) -> Erased | None:
    with sessions.begin() as session:
        return erasure.erase(session, accession, actor="ada@lab", because=WHY)


def write(sessions: SessionFactory, action: str, subject: str, **detail: object) -> None:
    with sessions.begin() as session:
        audit.append(session, actor="ada@lab", action=action, subject=subject, **detail)


def case_id(sessions: SessionFactory, accession: str = CASE) -> int:
    with sessions() as session:
        return session.scalars(select(Case.id).where(Case.accession == accession)).one()


def verify(sessions: SessionFactory) -> audit.Verification:
    with sessions() as session:
        return audit.verify(session)


def events(sessions: SessionFactory) -> list[tuple[str, str, dict[str, object]]]:
    with sessions() as session:
        return [(one.action, one.subject, one.detail) for one in reversed(audit.list_last(session, 99))]


def tables_that_name(sessions: SessionFactory, words: str) -> list[str]:
    """Tables of both schemas with a row whose text holds ``words``."""
    with sessions() as session:
        names = session.scalars(
            text(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'karyo' "
                "UNION SELECT format('%I.%I', schemaname, viewname) FROM pg_views WHERE schemaname = 'reporting'"
            )
        ).all()
        found = "SELECT EXISTS (SELECT FROM {0} row WHERE position(lower(:words) IN lower(CAST(row AS text))) > 0)"
        return [name for name in names if session.scalar(text(found.format(name)), {"words": words})]


def finished(laboratory: Laboratory, accession: str, amount: int = 2) -> None:
    laboratory.pending(amount, accession)
    for leased in laboratory.leased(amount):
        laboratory.begin(leased)
        assert laboratory.finish(leased)


def review(session: Session, accession: str) -> None:
    """A review and a sign-off of a case as rows."""
    for statement in (
        "INSERT INTO karyo.reviews (case_id, analysis_id, follows, reviewer, action, detail) "
        "SELECT image.case_id, a.id, 0, 'ada', 'comment', jsonb_build_object('text', c.accession) "
        "FROM karyo.analyses a JOIN karyo.images image ON image.id = a.image_id "
        "JOIN karyo.cases c ON c.id = image.case_id WHERE c.accession = :case",
        "INSERT INTO karyo.sign_offs (case_id, pipeline_id, reader, position, required, follows, analysis_ids, "
        "last_review_id, result) SELECT id, 1, 'ada', 1, 1, 0, '{1}', 0, '{}' FROM karyo.cases WHERE accession = :case",
    ):
        session.execute(text(statement), {"case": accession})


def fill(laboratory: Laboratory) -> None:
    """Two cases with everything that can belong to one, and whatever else may name the first."""
    sessions = laboratory.sessions
    for accession in (CASE, "B-2"):
        finished(laboratory, accession)
        with sessions.begin() as session:
            review(session, accession)
        write(sessions, "case.signed", f"case:{case_id(sessions, accession)}", iscn="46,XX", sign_off=1)
        with sessions.begin() as session:
            batch = IngestBatch(kind="folder", source=f"/data/{accession}")
            session.add(batch)
            session.flush()
            session.add(Rejection(batch_id=batch.id, file_name="Erika.tif", reason="r", sentence=f"Of {accession}."))
            for image in session.scalars(select(Image).join(Case).where(Case.accession == accession)):
                image.batch_id = batch.id
    with sessions.begin() as session:
        batch = IngestBatch(kind="folder", source="/data/mixed")
        session.add(batch)
        session.flush()
        session.add(Rejection(batch_id=batch.id, file_name=f"{CASE}_3.tif", reason="r", sentence="Black."))
        filters = {"where": [f'case="{CASE}"']}
        session.add(Campaign(name=f"again {CASE.lower()}", pipeline_id=1, filters=filters, priority=1))
        session.add(Schedule(name="weekly", cron="* * * * *", pipeline="p", filters=filters, last_due_at=text("now()")))
    write(sessions, "pipeline.promoted", "pipeline:aa", because=f"right about {CASE}", digest="aa")
    write(sessions, "pipeline.promoted", "pipeline:bb", **BYSTANDER)


def test_nothing_of_the_case_is_left(laboratory: Laboratory) -> None:
    sessions = laboratory.sessions
    fill(laboratory)
    number = case_id(sessions)
    erased = erase(sessions, CASE.replace(" ", "  "))
    assert erased is not None
    assert erased.rows == {
        "sign_offs": 1, "reviews": 2, "case_results": 1, "qc_metrics": 2, "chromosomes": 92, "analyses": 2,
        "images": 2, "cases": 1,
    }  # fmt: skip
    assert (erased.case_id, erased.texts, erased.events, erased.bytes, erased.running) == (number, 5, 2, 2000, 0)
    # The event of the bystander names another case, whose number only begins alike.
    assert tables_that_name(sessions, f"{CASE} ") == tables_that_name(sessions, f"{CASE}_") == []
    assert tables_that_name(sessions, CASE) == ["karyo.audit_events"]
    assert tables_that_name(sessions, "B-2") != []
    with sessions() as session:
        assert session.scalars(select(Rejection.file_name).order_by(Rejection.id)).all() == [
            "erased", "Erika.tif", "erased_3.tif",
        ]  # fmt: skip
        assert session.scalars(select(Campaign.filters)).one() == {"where": ['case="erased"']}
        assert session.scalars(select(Case.accession)).all() == ["B-2"]
    assert laboratory.amount(Chromosome) == 92
    assert laboratory.amount(CaseResult) == 1


def test_the_chain_of_events_holds_and_keeps_one_event(laboratory: Laboratory) -> None:
    sessions = laboratory.sessions
    fill(laboratory)
    head = verify(sessions).head
    erase(sessions)
    with sessions() as session:
        assert audit.verify(session, head) == audit.Verification(5, audit.list_last(session, 1)[0].hash, None, True)
    signed, other, promoted, bystander, erased = events(sessions)
    assert signed == ("case.signed", "case:erased", {})
    assert other == ("case.signed", "case:2", {"iscn": "46,XX", "sign_off": 1})
    assert promoted == ("pipeline.promoted", "pipeline:aa", {"because": "right about erased", "digest": "aa"})
    assert bystander == ("pipeline.promoted", "pipeline:bb", BYSTANDER)
    assert erased[:2] == ("case.erased", "case:1")
    assert (erased[2]["because"], erased[2]["objects"]) == (WHY, 3)
    assert set(erased[2]["redacted"]) == {"1", "3"}  # type: ignore[call-overload]
    erase(sessions, "B-2")
    assert verify(sessions).broken is None
    assert erase(sessions, "B-2") is None


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE karyo.audit_events SET actor = 'eve' WHERE id = 3", 3),
        ('UPDATE karyo.audit_events SET detail = \'{"because": "erased"}\' WHERE id = 3', 3),
        ("UPDATE karyo.audit_events SET hash = repeat('0', 64) WHERE id = 3", 4),
        ("DELETE FROM karyo.audit_events WHERE id = 3", 4),
        ("DELETE FROM karyo.audit_events WHERE id = 2", 3),
        ("UPDATE karyo.audit_events SET detail = detail - 'redacted' WHERE id = 5", 1),
    ],
)
def test_a_change_near_redacted_events_breaks_the_chain(laboratory: Laboratory, statement: str, broken: int) -> None:
    fill(laboratory)
    erase(laboratory.sessions)
    with laboratory.sessions.begin() as session:
        session.execute(text("ALTER TABLE karyo.audit_events DISABLE TRIGGER USER"))
        session.execute(text(statement))
        session.execute(text("ALTER TABLE karyo.audit_events ENABLE TRIGGER USER"))
    assert verify(laboratory.sessions).broken == broken


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM karyo.reviews WHERE case_id = 2",
        "DELETE FROM karyo.sign_offs WHERE case_id = 2",
        "UPDATE karyo.reviews SET reviewer = 'eve' WHERE case_id = 1",
        "UPDATE karyo.sign_offs SET reader = 'eve' WHERE case_id = 1",
        "UPDATE karyo.audit_events SET actor = 'eve' WHERE id = 1",
        "UPDATE karyo.audit_events SET subject = 'case:erased', detail = '{}', hash = '0' WHERE id = 1",
        "UPDATE karyo.audit_events SET subject = 'case:erased', detail = '{}' WHERE id = 2",
        "DELETE FROM karyo.audit_events WHERE id = 1",
        "TRUNCATE karyo.reviews CASCADE",
        "TRUNCATE karyo.audit_events",
    ],
)
def test_an_erasure_allows_what_its_event_names_and_nothing_else(laboratory: Laboratory, statement: str) -> None:
    sessions = laboratory.sessions
    fill(laboratory)
    with sessions() as session:
        redacted = {"1": session.scalar(text("SELECT karyo.audit_hash('', e) FROM karyo.audit_events e WHERE id = 1"))}
        audit.append(session, actor="eve@lab", action=audit.ERASED, subject="case:1", redacted=redacted)
        with pytest.raises(DBAPIError, match="is append-only"):
            session.execute(text(statement))


@pytest.mark.parametrize("statement", ["DELETE FROM karyo.reviews", "UPDATE karyo.audit_events SET detail = '{}'"])
def test_the_event_of_an_earlier_transaction_allows_nothing(laboratory: Laboratory, statement: str) -> None:
    fill(laboratory)
    write(laboratory.sessions, audit.ERASED, "case:1", redacted={})
    with pytest.raises(DBAPIError, match="is append-only"), laboratory.sessions.begin() as session:
        session.execute(text(statement))


@pytest.mark.parametrize("why", ["", "  ", "mother of q 7-1", "Q 7-1."])
def test_a_reason_is_needed_that_does_not_name_the_case(laboratory: Laboratory, why: str) -> None:
    laboratory.images(1, CASE)
    with pytest.raises(erasure.RefusedErasure), laboratory.sessions.begin() as session:
        erasure.erase(session, CASE, actor="ada@lab", because=why)
    assert laboratory.amount(Image) == 1


def test_an_erasure_gives_way_to_a_transaction_on_the_case(laboratory: Laboratory) -> None:
    laboratory.images(1, CASE)
    with laboratory.sessions.begin() as other:
        other.execute(select(Case).with_for_update(key_share=True))
        with pytest.raises(OperationalError, match="lock timeout"):
            erase(laboratory.sessions)
    assert erase(laboratory.sessions) is not None


def test_a_campaign_waits_for_an_erasure_and_leaves_the_case_out(laboratory: Laboratory) -> None:
    sessions, pipeline_id = laboratory.sessions, laboratory.pipeline()
    laboratory.images(2, CASE)
    others = laboratory.images(3, "B-2")

    def create() -> Campaign | None:
        with sessions.begin() as session:
            return campaigns.create(session, pipeline_id=pipeline_id, filters={})

    with ThreadPoolExecutor(1) as pool:
        with sessions.begin() as session:
            assert erasure.erase(session, CASE, actor="ada@lab", because=WHY)
            creation = pool.submit(create)
            while session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")) == 0:
                assert not creation.done()
        campaign = creation.result()
    assert campaign is not None
    assert (campaign.image_count, campaign.enqueued_count) == (3, 3)
    assert {row.image_id for row in laboratory.rows().values()} == set(others)


def test_a_running_analysis_does_not_bring_the_case_back(laboratory: Laboratory, store: ObjectStore) -> None:
    laboratory.pending(2, CASE)
    leased, other = laboratory.leased(2)
    laboratory.begin(leased)
    erased = erase(laboratory.sessions)
    assert erased is not None
    assert erased.running == 2
    assert laboratory.begin(other) is None
    drawn = store.put(b"karyogram with the name of the case")
    laboratory.result = replace(laboratory.result, artefacts={"karyogram": drawn})
    assert not laboratory.finish(leased)
    with laboratory.sessions.begin() as session:
        assert not queue.fail(session, other, "no_chromosomes", "None.")
        session.execute(text("DELETE FROM karyo.discarded_objects WHERE object_key <> :key"), {"key": drawn})
    assert [laboratory.amount(table) for table in (Case, Image, Analysis, Chromosome, CaseResult)] == [0] * 5
    assert discarded_objects.remove(laboratory.sessions.transact, store.delete) == 1
    assert not store.has(drawn)


def test_a_lost_lease_does_not_cost_the_next_holder_its_artefacts(laboratory: Laboratory) -> None:
    laboratory.pending(1)
    (lost,) = laboratory.leased(1)
    laboratory.begin(lost)
    laboratory.expire_leases()
    laboratory.reap()
    assert not laboratory.finish(lost)
    with laboratory.sessions() as session:
        assert discarded_objects.count(session) == 0


def test_an_object_that_another_row_names_stays(laboratory: Laboratory, store: ObjectStore) -> None:
    shared, own, original = store.put(b"black overlay"), store.put(b"own"), store.put(b"original")
    for accession, artefacts in ((CASE, {"overlay": shared, "karyogram": own}), ("B-2", {"overlay": shared})):
        laboratory.result = replace(laboratory.result, artefacts=artefacts)
        finished(laboratory, accession, 1)
    with laboratory.sessions.begin() as session:
        for image in session.scalars(select(Image).join(Case).where(Case.accession == CASE)):
            image.object_key = original
    erase(laboratory.sessions)
    assert discarded_objects.remove(laboratory.sessions.transact, store.delete) == 2
    assert [store.has(key) for key in (shared, own, original)] == [True, False, False]
    with laboratory.sessions() as session:
        assert discarded_objects.count(session) == 0


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "objects")
