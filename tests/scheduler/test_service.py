"""The scheduler publishes each analysis once and survives outages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy import event, func, select, text, update

from db import pipelines, queue, schedules, workers
from db.engine import SessionFactory
from db.schema import Analysis, Campaign, Case, Image, ReportRefresh, Schedule
from scheduler import run
from scheduler.duties import Duties
from settings import Settings


class Broker:
    """An in-process publisher that records messages, or raises as an unreachable broker does."""

    def __init__(self) -> None:
        self.chunks: list[tuple[list[int], int]] = []
        self.cases: list[tuple[int, int, int]] = []
        self.unreachable_after: int | None = None

    def publish_chunk(self, ids: Sequence[int], priority: int) -> None:
        if self.unreachable_after is not None and len(self.chunks) >= self.unreachable_after:
            raise ConnectionError("unreachable")
        self.chunks.append((list(ids), priority))

    def publish_case(self, case_id: int, pipeline_id: int, revision: int) -> None:
        self.cases.append((case_id, pipeline_id, revision))


@pytest.fixture
def settings(postgres_url: str) -> Settings:
    return Settings(
        database_url=postgres_url,
        broker_url="redis://localhost",
        object_store="file:///objects",
        embedded=True,
        chunk_size=4,
        max_queued=10,
        poll_seconds=0.05,
    )


def pipeline(sessions: SessionFactory, name: str = "null") -> int:
    with sessions.begin() as session:
        return pipelines.register(session, {"name": name}, name * 8)


def add(sessions: SessionFactory, pipeline_id: int, count: int, priority: int = 1) -> list[int]:
    """Analysis ids of new images."""
    with sessions.begin() as session:
        total = session.scalars(select(func.count()).select_from(Image)).one()
        case = session.scalar(select(Case)) or Case(accession="C-1")
        numbers = range(total, total + count)
        session.add(case)
        session.flush()
        facts = {"case_id": case.id, "format": "PNG", "byte_count": 1, "width": 64, "height": 64, "bit_depth": 8}
        images = [Image(sha256=f"{n}", object_key=f"{n}", file_name=f"{n}.png", **facts) for n in numbers]
        session.add_all(images)
        session.flush()
        queue.enqueue(session, [image.id for image in images], pipeline_id, priority)
    with sessions() as session:
        return list(session.scalars(select(Analysis.id).order_by(Analysis.id.desc()).limit(count)))[::-1]


def states(sessions: SessionFactory) -> list[str]:
    with sessions() as session:
        return list(session.scalars(select(Analysis.state).order_by(Analysis.id)))


@contextmanager
def running(settings: Settings, broker: Broker) -> Iterator[threading.Event]:
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(settings, broker, stop))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def wait(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_urgent_analyses_are_published_first_in_bounded_chunks_of_one_pipeline(
    settings: Settings, session_factory: SessionFactory
) -> None:
    first, second = pipeline(session_factory), pipeline(session_factory, "other")
    backlog = add(session_factory, first, 12, priority=2)
    routine = add(session_factory, second, 2) + add(session_factory, first, 2)
    urgent = add(session_factory, first, 5, priority=0)
    broker = Broker()
    duties = Duties(settings, session_factory, broker)
    duties.dispatch()
    duties.dispatch()
    assert broker.chunks == [
        (urgent[:4], 0),
        (urgent[4:], 0),
        (routine[:2], 1),
        (routine[2:], 1),
        (backlog[:4], 2),
        (backlog[4:8], 2),
        (backlog[8:10], 2),
    ]
    late = add(session_factory, second, 1, priority=0)
    duties.dispatch()
    assert broker.chunks[-1] == (late, 0)


def test_a_few_images_are_spread_over_all_processes(settings: Settings, session_factory: SessionFactory) -> None:
    with session_factory.begin() as session:
        workers.record_heartbeat(session, "one", 1)
        workers.record_heartbeat(session, "two", 2)
    add(session_factory, pipeline(session_factory), 7)
    broker = Broker()
    Duties(settings, session_factory, broker).dispatch()
    assert [len(ids) for ids, _ in broker.chunks] == [3, 3, 1]


@contextmanager
def counted(sessions: SessionFactory) -> Iterator[list[str]]:
    """The statements of the block."""
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    engine = sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_the_number_of_statements_does_not_depend_on_the_number_of_images(
    settings: Settings, session_factory: SessionFactory
) -> None:
    null = pipeline(session_factory)
    duties = Duties(settings.model_copy(update={"max_queued": 100}), session_factory, Broker())
    spent = []
    for amount in (0, 2, 30, 60, 60):
        add(session_factory, null, amount)
        with counted(session_factory) as statements:
            duties.dispatch()
        spent.append(len(statements))
    nothing, few, many, *full = spent
    assert nothing == 1
    assert few == many < 10
    assert full == [many, 1]  # at the end there is work but no room


@pytest.mark.parametrize(("pace", "size"), [(None, 4), (0.9, 9), (0.1, 10), (100.0, 1)])
def test_the_chunk_size_follows_the_measured_speed(
    settings: Settings, session_factory: SessionFactory, pace: float | None, size: int
) -> None:
    null = pipeline(session_factory)
    broker = Broker()
    duties = Duties(settings.model_copy(update={"chunk_size": 10, "chunk_seconds": 8}), session_factory, broker)
    if pace:
        (measured,) = add(session_factory, null, 1)
        duties.dispatch()
        with session_factory.begin() as session:
            session.execute(
                update(Analysis)
                .where(Analysis.id == measured)
                .values(state="done", attempts=1, seconds=pace, finished_at=func.now())
            )
    backlog = add(session_factory, null, 12, priority=2)
    duties.dispatch()
    assert (backlog[:size], 2) in broker.chunks


def test_unpublished_analyses_are_pending_again_at_once(settings: Settings, session_factory: SessionFactory) -> None:
    ids = add(session_factory, pipeline(session_factory), 8)
    broker = Broker()
    broker.unreachable_after = 1
    with pytest.raises(ConnectionError):
        Duties(settings, session_factory, broker).dispatch()
    assert broker.chunks == [(ids[:4], 1)]
    assert states(session_factory) == ["queued"] * 4 + ["pending"] * 4


def test_dispatch_resumes_after_an_outage_of_the_broker(settings: Settings, session_factory: SessionFactory) -> None:
    broker = Broker()
    broker.unreachable_after = 0
    add(session_factory, pipeline(session_factory), 3)
    with running(settings, broker):
        time.sleep(0.5)
        assert not broker.chunks
        broker.unreachable_after = None
        wait(lambda: bool(broker.chunks))
    assert states(session_factory) == ["queued"] * 3


def test_new_work_is_notified_without_polling_and_stopping_is_prompt(
    settings: Settings, session_factory: SessionFactory
) -> None:
    broker = Broker()
    with running(settings.model_copy(update={"poll_seconds": 60}), broker) as stop:
        time.sleep(0.5)
        add(session_factory, pipeline(session_factory), 1)
        added = time.monotonic()
        wait(lambda: bool(broker.chunks))
        assert time.monotonic() - added < 10
        stop.set()
        stopped = time.monotonic()
    assert time.monotonic() - stopped < 10


def test_room_at_the_broker_is_notified(settings: Settings, session_factory: SessionFactory) -> None:
    ids = add(session_factory, pipeline(session_factory), 16)
    broker = Broker()
    with running(settings.model_copy(update={"poll_seconds": 60}), broker):
        wait(lambda: states(session_factory).count("queued") == 10 and len(broker.chunks) == 3)
        with session_factory.begin() as session:
            assert len(queue.lease(session, ids[:8], "w", 60)) == 8
        wait(lambda: sum(len(chunk) for chunk, _ in broker.chunks) == 16)


def test_a_lost_listener_connects_again(settings: Settings, session_factory: SessionFactory) -> None:
    broker = Broker()
    with running(settings.model_copy(update={"poll_seconds": 0.5}), broker):
        wait(lambda: _listeners(session_factory) == 1)
        with session_factory() as session:
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'karyo-listener'"
            assert session.scalars(text(cut)).all() == [True]
        add(session_factory, pipeline(session_factory), 1)
        wait(lambda: bool(broker.chunks))
        wait(lambda: _listeners(session_factory) == 1)


def _listeners(sessions: SessionFactory) -> int:
    with sessions() as session:
        mine = "application_name = 'karyo-listener' AND datname = current_database()"
        return session.scalars(text(f"SELECT count(*) FROM pg_stat_activity WHERE {mine}")).one()


def test_expired_leases_and_unanswered_messages_are_recovered(
    settings: Settings, session_factory: SessionFactory
) -> None:
    ids = add(session_factory, pipeline(session_factory), 2)
    broker = Broker()
    impatient = settings.model_copy(update={"queued_timeout_seconds": 0.1})
    duties = Duties(impatient, session_factory, broker)
    duties.dispatch()
    with session_factory.begin() as session:
        queue.lease(session, ids[:1], "w", 0.05)
    time.sleep(0.2)
    duties.reap()
    assert states(session_factory) == ["pending", "pending"]
    duties.dispatch()
    assert broker.chunks == [(ids, 1), (ids, 1)]


def test_the_summary_of_an_ended_case_is_requested_once(settings: Settings, session_factory: SessionFactory) -> None:
    pipeline_id = pipeline(session_factory)
    ids = add(session_factory, pipeline_id, 1)
    broker = Broker()
    duties = Duties(settings, session_factory, broker)
    duties.dispatch()
    duties.summarise()
    assert not broker.cases
    with session_factory.begin() as session:
        (held,) = queue.lease(session, ids, "w", 60)
        assert queue.fail(session, held, "black", "The image is black.")
    duties.summarise()
    duties.summarise()
    with session_factory() as session:
        case_id = session.scalars(select(Case.id)).one()
    assert broker.cases == [(case_id, pipeline_id, 1)]


def test_concurrent_schedulers_create_one_campaign_per_due_time(
    settings: Settings, session_factory: SessionFactory
) -> None:
    add(session_factory, pipeline(session_factory, "old"), 3)
    pipeline(session_factory, "new")
    with session_factory.begin() as session:
        schedules.add(session, "nightly", "* * * * *", pipeline="new", filters={})
        session.query(Schedule).update({"last_due_at": func.now() - func.make_interval(0, 0, 0, 1)})
    broker = Broker()
    with running(settings, broker), running(settings, broker):
        wait(lambda: sum(len(ids) for ids, _ in broker.chunks) == 6)
        time.sleep(0.3)
    with session_factory() as session:
        made = session.scalars(select(Campaign.due_at)).all()
    assert len(made) == len(set(made))
    assert sorted(analysis for ids, _ in broker.chunks for analysis in ids) == sorted(
        {analysis for ids, _ in broker.chunks for analysis in ids}
    )


def test_a_failing_schedule_is_logged_once(
    settings: Settings, session_factory: SessionFactory, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline(session_factory, "new")
    with session_factory.begin() as session:
        schedules.add(session, "nightly", "* * * * *", pipeline="new", filters={})
        session.query(Schedule).update(
            {"last_due_at": func.now() - func.make_interval(0, 0, 0, 1), "pipeline": "forgotten"}
        )
    duties = Duties(settings, session_factory, Broker())
    duties.fire_schedules()
    duties.fire_schedules()
    (record,) = caplog.records
    assert (record.message, vars(record)["schedule"]) == ("scheduler.schedule_failed", "nightly")
    assert "there is no pipeline 'forgotten'" in vars(record)["problem"]


def test_a_scheduler_refreshes_old_reports_beside_its_rounds(
    settings: Settings, session_factory: SessionFactory
) -> None:
    def age() -> float:
        with session_factory() as session:
            oldest = select(func.extract("epoch", func.now() - func.min(ReportRefresh.refreshed_at)))
            return float(session.scalars(oldest).one())

    with session_factory.begin() as session:
        session.execute(update(ReportRefresh).values(refreshed_at=text("now() - interval '1 hour'")))
    with running(settings.model_copy(update={"report_seconds": 0.1}), Broker()):
        wait(lambda: age() < 60)
    assert age() < 60
