"""The audit trail."""

from __future__ import annotations

from db import audit
from db.engine import SessionFactory


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


def test_an_event_of_a_transaction_that_fails_is_not_kept(session_factory: SessionFactory) -> None:
    with session_factory() as session:
        audit.append(session, actor="ada@lab", action="pipeline.promoted", subject="pipeline:aa")
        session.rollback()
        assert audit.list_events(session, "pipeline.promoted") == []
