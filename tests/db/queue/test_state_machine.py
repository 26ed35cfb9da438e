"""Random interleavings of all transitions by several workers, compared with a model."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, func, select, text, update

from db import queue
from db.queue import Leased
from db.schema import Analysis, Case, CaseResult, Chromosome, Image, Lane, Priority, QcMetrics, Queue, State

WORKERS = ("w1", "w2")
MAX_ATTEMPTS = 2
MAX_IMAGES = 8
MAX_QUEUED = 6
LEASE_SECONDS = 3600.0
DELAY_SECONDS = 600.0
CHROMOSOMES = 2  # rows of one result
REASON, SENTENCE = "flaky", "It failed."


class Row(NamedTuple):
    """What the database holds of an analysis."""

    state: State
    attempts: int
    token: uuid.UUID | None
    shared: bool
    delayed: bool
    iscn: str | None
    chromosomes: int
    qc_metrics: int


@dataclass
class Model:
    """What the database should hold of an analysis."""

    priority: Priority
    state: State = State.PENDING
    attempts: int = 0
    worker: str | None = None
    token: uuid.UUID | None = None
    begun: bool = False
    shared: bool = False
    expired: bool = False
    delayed: bool = False
    iscn: str | None = None

    def row(self) -> Row:
        results = (CHROMOSOMES, 1) if self.state is State.DONE else (0, 0)
        return Row(self.state, self.attempts, self.token, self.shared, self.delayed, self.iscn, *results)

    def claimable(self, priority: Priority) -> bool:
        return self.state is State.PENDING and self.priority is priority and not self.delayed

    def lease(self, worker: str, token: uuid.UUID) -> None:
        self.state, self.worker, self.token = State.RUNNING, worker, token
        self.begun = self.expired = False

    def begin(self, *, shared: bool) -> None:
        self.attempts, self.begun, self.shared = self.attempts + 1, True, shared

    def end(self, state: State) -> None:
        self.state, self.token = state, None

    def fail_attempt(self, *, counts: bool, delay: bool) -> None:
        last = counts and self.attempts >= MAX_ATTEMPTS
        self.end(State.QUARANTINED if last else State.PENDING)
        self.delayed = delay and counts and not last

    def lose_worker(self, *, delay: bool) -> None:
        """Apply the recovery of an expired lease; a shared attempt does not count."""
        if self.begun and self.shared:
            self.attempts -= 1
        self.fail_attempt(counts=self.begun and not self.shared, delay=delay)

    def interrupt(self, *, delay: bool, suspect: bool) -> None:
        """Apply the release of an interrupted attempt, which does not count."""
        self.attempts -= self.begun
        self.shared = self.shared and suspect
        self.end(State.PENDING)
        self.delayed = delay


class QueueMachine(RuleBasedStateMachine):
    """Transitions in any order: late and repeated messages, and writes under lost leases."""

    def __init__(self, laboratory: Any) -> None:
        super().__init__()
        self.laboratory = laboratory
        self.sessions = laboratory.sessions
        self.models: dict[int, Model] = {}
        self.paused: set[Priority] = set()
        self.messages: list[tuple[int, ...]] = []
        """Every published message; each may arrive at any time, any number of times."""
        self.leases: list[Leased] = []
        """Every lease, lost and ended ones included."""
        self.begun: set[uuid.UUID] = set()
        """Tokens of the leases whose attempt has begun."""

    @initialize()
    def start_with_lost_and_current_leases(self) -> None:
        with self.sessions.begin() as session:
            for table in (CaseResult, Analysis, Lane, Image, Case):
                session.execute(delete(table))
            session.execute(update(Queue).values(paused_at=None, paused_by=None, served=0))
        self.pipeline_id = self.laboratory.pipeline("machine")
        self.enqueue(4, "north", Priority.ROUTINE)
        self.lease_message(self.claim_from(Priority.ROUTINE, 2), "w1", begin=True, shared=False)
        self.lease_message(self.claim_from(Priority.ROUTINE, 1), "w1", begin=False)
        self.let_leases_expire("w1", reaped=True)
        self.lease_message(self.claim_from(Priority.ROUTINE, 3), "w2", begin=True, shared=True)

    @precondition(lambda self: len(self.models) < MAX_IMAGES)
    @rule(amount=st.integers(1, 2), lab=st.sampled_from(["north", "south"]), priority=st.sampled_from(Priority))
    def enqueue(self, amount: int, lab: str, priority: Priority) -> None:
        images = self.laboratory.images(amount, lab, lab=lab)
        with self.sessions.begin() as session:
            assert queue.enqueue(session, images, self.pipeline_id, priority) == amount
            assert queue.enqueue(session, images, self.pipeline_id, Priority.STAT) == 0
            ids = session.scalars(select(Analysis.id).where(Analysis.image_id.in_(images))).all()
        self.models |= {analysis_id: Model(priority) for analysis_id in ids}

    @rule(limit=st.integers(1, MAX_QUEUED), published=st.booleans())
    def claim(self, limit: int, published: bool) -> None:
        messages = [message for priority in Priority if (message := self.claim_from(priority, limit))]
        if published:
            self.messages += messages
        for message in [] if published else messages:
            self.unclaim(message)

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def unclaim_a_published_message(self, data: st.DataObject) -> None:
        self.unclaim(data.draw(st.sampled_from(self.messages)))

    @precondition(lambda self: self.messages)
    @rule(data=st.data(), worker=st.sampled_from(WORKERS))
    def receive_a_message(self, data: st.DataObject, worker: str) -> None:
        self.lease_message(data.draw(st.sampled_from(self.messages)), worker, begin=False)

    @rule(worker=st.sampled_from(WORKERS), begin=st.booleans(), shared=st.booleans())
    def receive_new_messages(self, worker: str, begin: bool, shared: bool) -> None:
        known = len(self.messages)
        self.claim(MAX_QUEUED, published=True)
        for message in self.messages[known:]:
            self.lease_message(message, worker, begin=begin, shared=shared)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), shared=st.booleans())
    def begin_some(self, data: st.DataObject, shared: bool) -> None:
        self.begin(self.draw_leases(data), shared=shared)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def extend(self, data: st.DataObject) -> None:
        leases = self.draw_leases(data)
        held = self.held(leases)
        with self.sessions.begin() as session:
            assert queue.extend(session, leases, LEASE_SECONDS) == held.keys()
        for model in held.values():
            model.expired = False

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        leases = self.draw_leases(data)
        self.begin(leases, shared=False)
        held = self.held(leases)
        forged = dataclasses.replace(leases[0], token=uuid.uuid4())
        with self.sessions.begin() as session:
            done = queue.finish_all(session, [(leased, self.result(leased)) for leased in (forged, *leases)])
        assert done == held.keys()
        for model in held.values():
            model.iscn = str(model.token)
            model.end(State.DONE)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        (leased, *_) = self.draw_leases(data)
        held = self.held([leased])
        with self.sessions.begin() as session:
            assert queue.fail(session, leased, REASON, SENTENCE) == bool(held)
        for model in held.values():
            model.end(State.FAILED)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), interrupted=st.booleans(), delay=st.booleans(), suspect=st.booleans())
    def release(self, data: st.DataObject, interrupted: bool, delay: bool, suspect: bool) -> None:
        (leased, *_) = self.draw_leases(data)
        held = self.held([leased])
        with self.sessions.begin() as session:
            released = queue.release(
                session,
                leased,
                max_attempts=MAX_ATTEMPTS,
                retry_seconds=DELAY_SECONDS * delay,
                reason=None if interrupted else REASON,
                sentence=None if interrupted else SENTENCE,
                suspect=suspect,
            )
        assert released == bool(held)
        for model in held.values():
            if interrupted:
                model.interrupt(delay=delay, suspect=suspect)
            else:
                model.fail_attempt(counts=model.begun, delay=delay)

    @rule(worker=st.sampled_from(WORKERS), reaped=st.booleans())
    def let_leases_expire(self, worker: str, reaped: bool) -> None:
        with self.sessions.begin() as session:
            running = update(Analysis).where(Analysis.state == State.RUNNING, Analysis.worker == worker)
            session.execute(running.values(lease_expires_at=text("now() - interval '1 second'")))
        for analysis_id in self.in_state(State.RUNNING):
            model = self.models[analysis_id]
            model.expired = model.expired or model.worker == worker
        if reaped:
            self.reap(lost_messages=False, delays_over=False, delay=False)

    @rule(lost_messages=st.booleans(), delays_over=st.booleans(), delay=st.booleans())
    def reap(self, lost_messages: bool, delays_over: bool, delay: bool) -> None:
        if delays_over:
            self.laboratory.end_waits()
            for model in self.models.values():
                model.delayed = False
        unanswered = self.in_state(State.QUEUED) if lost_messages else set()
        expired = {analysis_id for analysis_id in self.in_state(State.RUNNING) if self.models[analysis_id].expired}
        report = self.laboratory.reap(
            max_attempts=MAX_ATTEMPTS,
            queued_timeout_seconds=0.0 if lost_messages else LEASE_SECONDS,
            retry_seconds=DELAY_SECONDS * delay,
        )
        for analysis_id in expired:
            self.models[analysis_id].lose_worker(delay=delay)
        for analysis_id in unanswered:
            self.models[analysis_id].end(State.PENDING)
        quarantined = len(expired & self.in_state(State.QUARANTINED))
        assert report == queue.ReapReport(len(expired) - quarantined, quarantined, len(unanswered))

    @precondition(lambda self: self.in_state(State.FAILED, State.QUARANTINED))
    @rule()
    def retry(self) -> None:
        failed = self.in_state(State.FAILED, State.QUARANTINED)
        with self.sessions.begin() as session:
            assert queue.retry(session) == len(failed)
        for analysis_id in failed:
            self.models[analysis_id].end(State.PENDING)
            self.models[analysis_id].attempts = 0

    @rule(priority=st.sampled_from(Priority), resumed=st.booleans())
    def pause(self, priority: Priority, resumed: bool) -> None:
        queued = {key for key in self.in_state(State.QUEUED) if self.models[key].priority is priority}
        with self.sessions.begin() as session:
            assert queue.pause(session, [priority], "operator") == len(queued)
        self.paused.add(priority)
        for analysis_id in queued:
            self.models[analysis_id].end(State.PENDING)
        if resumed:
            with self.sessions.begin() as session:
                assert queue.resume(session, list(Priority)) == len(self.paused)
            self.paused.clear()

    @invariant()
    def the_database_equals_the_model(self) -> None:
        """Nothing vanishes, results exist exactly for done analyses, and no lost token has written."""
        rows = self.rows()
        assert rows == {analysis_id: model.row() for analysis_id, model in self.models.items()}
        assert all(row.attempts <= MAX_ATTEMPTS for row in rows.values())

    def claim_from(self, priority: Priority, limit: int) -> tuple[int, ...]:
        queued = sum(model.state is State.QUEUED and model.priority is priority for model in self.models.values())
        claimable = {analysis_id for analysis_id, model in self.models.items() if model.claimable(priority)}
        with self.sessions.begin() as session:
            message = tuple(claimed.analysis_id for claimed in queue.claim(session, priority, limit, MAX_QUEUED))
        closed = priority in self.paused or 2 * queued > MAX_QUEUED
        assert len(message) == (0 if closed else min(limit, MAX_QUEUED - queued, len(claimable)))
        assert set(message) <= claimable
        for analysis_id in message:
            self.models[analysis_id].state = State.QUEUED
        return message

    def unclaim(self, message: tuple[int, ...]) -> None:
        queued = self.in_state(State.QUEUED) & set(message)
        with self.sessions.begin() as session:
            assert queue.unclaim(session, message) == len(queued)
        for analysis_id in queued:
            self.models[analysis_id].end(State.PENDING)

    def lease_message(self, message: Sequence[int], worker: str, *, begin: bool, shared: bool = False) -> None:
        queued = self.in_state(State.QUEUED) & set(message)
        with self.sessions.begin() as session:
            leases = queue.lease(session, message, worker, LEASE_SECONDS)
        assert {leased.analysis_id for leased in leases} == queued
        assert not {leased.token for leased in leases} & {leased.token for leased in self.leases}
        self.leases += leases
        for leased in leases:
            model = self.models[leased.analysis_id]
            assert (leased.attempts, leased.suspect) == (model.attempts, model.shared or model.attempts > 0)
            model.lease(worker, leased.token)
        if begin:
            self.begin(leases, shared=shared)

    def begin(self, leases: Sequence[Leased], *, shared: bool) -> None:
        """Begin the attempts of leases whose worker has not done so; suspects are begun alone."""
        for leased in leases:
            if leased.token in self.begun:
                continue
            self.begun.add(leased.token)
            with self.sessions.begin() as session:
                attempt = queue.begin(session, leased, shared=shared and not leased.suspect)
            held = self.held([leased])
            for model in held.values():
                model.begin(shared=shared and not leased.suspect)
            assert attempt == (held[leased.analysis_id].attempts if held else None)

    def draw_leases(self, data: st.DataObject) -> list[Leased]:
        return data.draw(st.lists(st.sampled_from(self.leases), min_size=1, max_size=4, unique=True))

    def held(self, leases: Sequence[Leased]) -> dict[int, Model]:
        """Return the models of the leases that are not lost, by analysis."""
        models = {leased.analysis_id: self.models[leased.analysis_id] for leased in leases}
        tokens = {leased.token for leased in leases}
        return {analysis_id: model for analysis_id, model in models.items() if model.token in tokens}

    def in_state(self, *states: State) -> set[int]:
        return {analysis_id for analysis_id, model in self.models.items() if model.state in states}

    def rows(self) -> dict[int, Row]:
        chromosomes, qc_metrics = (
            select(func.count()).where(table.analysis_id == Analysis.id).scalar_subquery()
            for table in (Chromosome, QcMetrics)
        )
        columns = (Analysis.lease_token, Analysis.shared, Analysis.not_before.is_not(None), Analysis.iscn)
        read = select(Analysis.id, Analysis.state, Analysis.attempts, *columns, chromosomes, qc_metrics)
        with self.sessions() as session:
            return {analysis_id: Row(*row) for analysis_id, *row in session.execute(read)}

    def result(self, leased: Leased) -> queue.AnalysisResult:
        """Return a result that names its token."""
        chromosomes = [self.laboratory.chromosome(ordinal) for ordinal in range(CHROMOSOMES)]
        return dataclasses.replace(self.laboratory.result, iscn=str(leased.token), chromosomes=chromosomes)


def test_every_interleaving_of_transitions_keeps_the_invariants(laboratory: Any) -> None:
    run_state_machine_as_test(
        lambda: QueueMachine(laboratory),
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],  # add Phase.shrink to debug; it takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
