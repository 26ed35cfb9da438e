"""The audit trail: one hash chain, whoever writes and at what time."""

from __future__ import annotations

from itertools import count

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db import audit
from db.engine import SessionFactory
from db.migrate import check, downgrade, upgrade
from db.schema import AuditEvent
from tests.db.conftest import Laboratory

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


def write(sessions: SessionFactory, *actions: str, actor: str = "ada@lab") -> None:
    for action in actions:
        with sessions.begin() as session:
            audit.append(session, actor=actor, action=action, subject="pipeline:aa", because="better")


def verify(sessions: SessionFactory, anchor: str | None = None) -> audit.Verification:
    with sessions() as session:
        return audit.verify(session, anchor)


def tamper(sessions: SessionFactory, statement: str) -> None:
    """Change rows as an owner of the database may: without its triggers."""
    with sessions.begin() as session:
        session.execute(text("ALTER TABLE karyo.audit_events DISABLE TRIGGER USER"))
        session.execute(text(statement))
        session.execute(text("ALTER TABLE karyo.audit_events ENABLE TRIGGER USER"))


def test_events_are_listed_by_action_in_order(session_factory: SessionFactory) -> None:
    with session_factory.begin() as session:
        audit.append(session, actor="ada@lab", action="pipeline.promoted", subject="pipeline:aa", because="better")
        audit.append(session, actor="bob@lab", action="queue.paused", subject="queue:stat")
        audit.append(session, actor="bob@lab", action="pipeline.retired", subject="pipeline:aa")
    with session_factory() as session:
        events = audit.list_events(session, "pipeline.promoted", "pipeline.retired")
        assert [(event.actor, event.subject, event.detail) for event in events] == [
            ("ada@lab", "pipeline:aa", {"because": "better"}),
            ("bob@lab", "pipeline:aa", {}),
        ]
        last = audit.list_last(session, 2, action="pipeline.", subject="pipeline:aa")
        assert [event.action for event in last] == ["pipeline.retired", "pipeline.promoted"]
        assert [event.id for event in audit.list_last(session, 1)] == [3]
        assert audit.list_last(session, 9, action="pipeline_") == []


def test_an_event_of_a_transaction_that_fails_is_not_kept(session_factory: SessionFactory) -> None:
    with session_factory() as session:
        audit.append(session, actor="ada@lab", action="pipeline.promoted", subject="pipeline:aa")
        session.rollback()
        assert audit.list_events(session, "pipeline.promoted") == []
    write(session_factory, "pipeline.promoted")
    assert verify(session_factory).count == 1


def test_a_chain_ends_with_the_hash_of_its_last_event(session_factory: SessionFactory) -> None:
    assert verify(session_factory) == audit.Verification(0, "", None, True)
    write(session_factory, "a", "b", "c")
    with session_factory() as session:
        hashes = [event.hash for event in reversed(audit.list_last(session, 3))]
    assert len(set(hashes)) == 3
    assert verify(session_factory, hashes[1]) == audit.Verification(3, hashes[2], None, True)
    assert not verify(session_factory, "0" * 64).has_anchor


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE karyo.audit_events SET actor = 'eve@lab' WHERE id = 2", 2),
        ('UPDATE karyo.audit_events SET detail = \'{"because": "worse"}\' WHERE id = 2', 2),
        ("UPDATE karyo.audit_events SET at = at - interval '1 microsecond' WHERE id = 2", 2),
        ("UPDATE karyo.audit_events SET hash = repeat('0', 64) WHERE id = 2", 2),
        ("UPDATE karyo.audit_events SET id = 9 WHERE id = 3", 4),
        ("DELETE FROM karyo.audit_events WHERE id = 2", 3),
        ("DELETE FROM karyo.audit_events WHERE id = 1", 2),
    ],
)
def test_the_first_broken_event_is_named(session_factory: SessionFactory, statement: str, broken: int) -> None:
    write(session_factory, "a", "b", "c", "d")
    tamper(session_factory, statement)
    assert verify(session_factory).broken == broken


def test_removed_last_events_are_missed_by_a_noted_hash_only(session_factory: SessionFactory) -> None:
    write(session_factory, "a", "b")
    noted = verify(session_factory).head
    tamper(session_factory, "DELETE FROM karyo.audit_events WHERE id = 2")
    assert verify(session_factory).broken is None
    assert not verify(session_factory, noted).has_anchor


@pytest.mark.parametrize("table", ["audit_events", "reviews", "sign_offs"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_database_refuses_changes(laboratory: Laboratory, table: str, statement: str) -> None:
    sessions = laboratory.sessions
    write(sessions, "a")
    laboratory.pending(1)
    with sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO karyo.reviews (case_id, analysis_id, follows, reviewer, action, detail) "
                "SELECT 1, id, 0, 'ada', 'comment', '{}' FROM karyo.analyses"
            )
        )
        session.execute(
            text(
                "INSERT INTO karyo.sign_offs (case_id, pipeline_id, reader, position, required, follows, "
                "analysis_ids, last_review_id, result) VALUES (1, 1, 'ada', 1, 1, 0, '{1}', 0, '{}')"
            )
        )
    with pytest.raises(DBAPIError, match="is append-only"), sessions.begin() as session:
        session.execute(text(statement.format(f"karyo.{table}").replace("SET id = id", f"SET {CHANGES[table]}")))


CHANGES = {"audit_events": "actor = 'eve'", "reviews": "reviewer = 'eve'", "sign_offs": "reader = 'eve'"}


def test_concurrent_writers_keep_one_chain(laboratory: Laboratory) -> None:
    names = count()

    def work() -> None:
        actor = f"{next(names)}@lab"
        write(laboratory.sessions, *(f"action.{number}" for number in range(10)), actor=actor)

    laboratory.at_once(12, work)
    verified = verify(laboratory.sessions)
    assert (verified.count, verified.broken) == (120, None)
    with laboratory.sessions() as session:
        events = audit.list_last(session, 200)
    assert [event.id for event in events] == list(range(120, 0, -1))
    assert [event.at for event in events] == sorted((event.at for event in events), reverse=True)
    for actor in {event.actor for event in events}:
        own = [event.action for event in reversed(events) if event.actor == actor]
        assert own == [f"action.{number}" for number in range(10)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS | st.integers() | st.floats(allow_nan=False, allow_infinity=False)))
def test_python_and_the_database_hash_alike(
    session_factory: SessionFactory, actor: str, subject: str, detail: dict[str, object]
) -> None:
    with session_factory() as session:
        session.execute(text("SET LOCAL timezone = 'Asia/Kathmandu'"))
        event = AuditEvent(actor=actor, action="a", subject=subject, detail=detail)
        session.add(event)
        session.flush()
        assert audit.verify(session) == audit.Verification(1, event.hash, None, True)


def test_earlier_events_join_the_chain(empty_postgres_url: str) -> None:
    insert = (
        "INSERT INTO karyo.audit_events (actor, action, subject, detail) SELECT 'ada', 'a', n::text, '{}' "
        "FROM generate_series(1, 3) n"
    )
    address = empty_postgres_url.replace("+psycopg", "")
    upgrade(empty_postgres_url, "0009")
    with psycopg.connect(address) as connection:
        connection.execute(insert)
        connection.execute("DELETE FROM karyo.audit_events WHERE id = 2")  # as after a transaction that failed
    upgrade(empty_postgres_url)
    check(empty_postgres_url)
    with psycopg.connect(address) as connection:
        connection.execute(insert)
        rows = connection.execute("SELECT id, at, actor, action, subject, detail::text, hash FROM karyo.audit_events")
        events = rows.fetchall()
    assert [event[0] for event in events] == [1, 3, 4, 5, 6]
    previous = ""
    for event in events:
        previous = audit.hash_event(previous, audit.HashedValues(*event[:-1]))
        assert event[-1] == previous
    downgrade(empty_postgres_url, "0009")
    with psycopg.connect(address) as connection:
        connection.execute(insert)
        ids = [row[0] for row in connection.execute("SELECT id FROM karyo.audit_events ORDER BY id")]
    assert ids == [1, 3, 4, 5, 6, 7, 8, 9]
    upgrade(empty_postgres_url)
    check(empty_postgres_url)
