"""Fleets of real workers analyse every image once, whatever is killed."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import TYPE_CHECKING

import numpy as np
import pytest
import redis
from sqlalchemy import text, update

from db import pipelines, reporting, workers
from db.schema import Image
from embedded.binaries import redis_program
from karyotyping.pipeline import Pipeline
from tests.support.image_files import tiff

if TYPE_CHECKING:
    from tests.support.laboratory import Laboratory

pytestmark = pytest.mark.stack


def test_images_are_analysed_and_the_case_summarised(laboratory: Laboratory) -> None:
    laboratory.add(laboratory.pipeline(), 10)
    laboratory.worker()
    laboratory.scheduler()
    laboratory.wait(laboratory.summarised)
    assert set(laboratory.states().values()) == {"done"}
    assert {analysis.attempts for analysis in laboratory.analyses()} == {1}
    laboratory.assert_each_once()
    case = laboratory.case()
    assert (case.image_count, case.cell_count, case.modal_count) == (10, 10, 2)
    assert (case.count_min, case.count_max, case.voters, case.karyotype_agreement) == (2, 2, 0, None)
    assert (case.iscn, case.resolution) == (None, "not_resolved")
    assert case.why == "No cell is complete: the counts are 2, and 41 chromosomes are needed."
    with laboratory.sessions() as session:
        pipelines.set_alias(session, "production", case.pipeline_id)
        columns, (row,) = reporting.fetch(session, "case_status")
    reported = dict(zip(columns, row, strict=True))
    assert (reported["summary"], reported["iscn"], reported["why"]) == ("current", None, case.why)
    assert case.artefacts is not None
    assert laboratory.store.get(case.artefacts["karyogram"]).startswith(b"\x89PNG")
    drawing = laboratory.store.get(case.artefacts["karyogram_svg"])
    assert b'id="chromosome-1"' in drawing
    assert b"Karyogram C-1: cell" in drawing


def test_the_chosen_channel_is_analysed(laboratory: Laboratory) -> None:
    chosen, _ = laboratory.add(laboratory.pipeline(), 2)
    pixels = np.zeros((2, 64, 64), np.uint8)  # channel
    pixels[1] = np.random.default_rng(1).integers(1, 255, (64, 64))
    stack = tiff(pixels, ome=True, photometric="minisblack", metadata={"axes": "CYX", "Channel": {"Name": ["A", "B"]}})
    with laboratory.sessions.begin() as session:
        session.execute(update(Image).values(object_key=laboratory.store.put(stack)))
        session.execute(update(Image).where(Image.id == chosen).values(channel="b"))
    laboratory.worker()
    laboratory.scheduler()
    laboratory.wait(laboratory.ended)
    assert {analysis.image_id == chosen: (analysis.state, analysis.reason) for analysis in laboratory.analyses()} == {
        True: ("done", None),
        False: ("failed", "ambiguous_channel"),
    }


def test_named_failures_end_at_once_and_unexpected_ones_after_three_attempts(laboratory: Laboratory) -> None:
    pipeline = laboratory.pipeline()
    laboratory.add(pipeline, 1, prefix="black", value=0)
    laboratory.add(pipeline, 1, prefix="flat", value=7)
    laboratory.add(pipeline, 3)
    missing = laboratory.add(pipeline, 1, prefix="missing")[0]
    with laboratory.sessions() as session:
        laboratory.store.delete(session.get_one(Image, missing).object_key)
    laboratory.worker()
    laboratory.scheduler()
    laboratory.wait(laboratory.summarised)
    found = {state: [] for state in ("done", "failed", "quarantined")}
    for analysis in laboratory.analyses():
        found[analysis.state].append((analysis.reason, analysis.attempts))
    assert found["done"] == [(None, 1)] * 3
    assert sorted(found["failed"]) == [("no_chromosomes", 1), ("object_missing", 1)]
    assert found["quarantined"] == [("unexpected_error", 3)]
    assert any("ArithmeticError: a flat image" in (analysis.error or "") for analysis in laboratory.analyses())
    laboratory.assert_each_once()


def test_an_image_that_kills_its_worker_is_quarantined_and_the_others_end_done(laboratory: Laboratory) -> None:
    pipeline = laboratory.pipeline()
    laboratory.add(pipeline, 2)
    laboratory.add(pipeline, 1, prefix="poison")
    laboratory.add(pipeline, 3, prefix="after")
    laboratory.worker(KARYO_FAILPOINT="begun:poison0.png")
    laboratory.scheduler()
    laboratory.wait(laboratory.summarised, 60)
    states = laboratory.states()
    assert states.pop("poison0.png") == "quarantined"
    assert set(states.values()) == {"done"}
    # The first death, with other images in the process, counts for none of them; the next three, alone, count.
    assert laboratory.log().count("chunk.leased") >= 4
    assert sorted((one.attempts, one.reason) for one in laboratory.analyses() if one.reason) == [(3, "worker_lost")]
    assert [one.attempts for one in laboratory.analyses() if one.state == "done"] == [1] * 5
    laboratory.assert_each_once()


def test_kill_of_the_whole_worker_and_flushed_redis(laboratory: Laboratory) -> None:
    laboratory.add(laboratory.pipeline(seconds=0.1), 16)
    first = laboratory.worker()
    laboratory.scheduler()
    laboratory.wait(lambda: "done" in laboratory.states().values())
    first.kill()
    with redis.Redis.from_url(str(laboratory.settings.broker_url)) as broker:
        broker.flushall()
    laboratory.worker()
    laboratory.wait(laboratory.summarised)
    assert set(laboratory.states().values()) == {"done"}
    assert max(analysis.attempts for analysis in laboratory.analyses()) <= 2
    laboratory.assert_each_once()


def test_a_flush_under_a_running_worker_does_not_stop_it(laboratory: Laboratory) -> None:
    laboratory.add(laboratory.pipeline(seconds=0.1), 16)
    laboratory.worker()
    laboratory.scheduler()
    laboratory.wait(lambda: "done" in laboratory.states().values())
    with redis.Redis.from_url(str(laboratory.settings.broker_url)) as broker:
        broker.flushall()
    laboratory.wait(laboratory.summarised)
    assert {analysis.attempts for analysis in laboratory.analyses()} == {1}
    laboratory.assert_each_once()


@pytest.mark.parametrize("whole_group", [False, True])
def test_sigterm_finishes_the_batch_and_gives_the_rest_back(laboratory: Laboratory, whole_group: bool) -> None:
    laboratory.add(laboratory.pipeline(seconds=1), 4)
    worker = laboratory.worker()
    stop = laboratory.scheduler()
    laboratory.wait(lambda: any(analysis.attempts for analysis in laboratory.analyses()))
    stop.set()
    time.sleep(0.5)
    if whole_group:
        os.killpg(worker.pid, signal.SIGTERM)
    else:
        worker.terminate()
    assert laboratory.wait_for_exit(worker, 20) == 0
    states = sorted(laboratory.states().values())
    assert set(states) == {"done", "pending"}, laboratory.log()
    assert sum(analysis.attempts for analysis in laboratory.analyses()) == states.count("done")
    laboratory.assert_each_once()


def test_an_idle_worker_sends_heartbeats_and_leaves_at_once(laboratory: Laboratory) -> None:
    def alive() -> list[int]:
        with laboratory.sessions() as session:
            return [worker.processes for worker in workers.list_active(session)]

    worker = laboratory.worker()
    laboratory.wait(lambda: alive() == [1])
    with laboratory.sessions() as session:  # the heartbeat names what the worker can run
        assert workers.any_can_run(session, Pipeline.default().document)
        assert not workers.any_can_run(session, {**Pipeline.default().document, "code_version": "0"})
    time.sleep(1)
    os.killpg(worker.pid, signal.SIGTERM)
    assert laboratory.wait_for_exit(worker, 20) == 0
    assert alive() == []


def test_lost_connections_to_the_database_are_outlasted(laboratory: Laboratory) -> None:
    laboratory.add(laboratory.pipeline(seconds=0.05), 16)
    laboratory.worker()
    laboratory.scheduler()
    mine = "application_name IN ('karyo-worker', 'karyo-scheduler') AND datname = current_database()"
    cut = text(f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {mine}")
    cuts = 0
    deadline = time.monotonic() + 60
    while not laboratory.summarised():
        assert time.monotonic() < deadline, laboratory.log()
        with laboratory.sessions() as session:
            cuts += session.scalars(cut).one()
        time.sleep(0.7)
    assert cuts > 0
    assert set(laboratory.states().values()) == {"done"}
    laboratory.assert_each_once()


def test_a_restart_of_redis_is_outlasted(laboratory: Laboratory, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(redis_program()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    laboratory.settings = laboratory.settings.model_copy(update={"broker_url": f"redis://127.0.0.1:{port}/0"})
    pipeline = laboratory.pipeline(seconds=0.1)
    laboratory.add(pipeline, 8)
    with killed_at_the_end(Popen(command, stdout=DEVNULL)):
        laboratory.worker()
        laboratory.scheduler()
        laboratory.wait(lambda: "done" in laboratory.states().values())
    laboratory.add(pipeline, 4, prefix="during")
    time.sleep(2)
    with killed_at_the_end(Popen(command, stdout=DEVNULL)):
        laboratory.wait(laboratory.summarised, 60)
        laboratory.close()
    assert set(laboratory.states().values()) == {"done"}
    laboratory.assert_each_once()


@contextmanager
def killed_at_the_end(process: Popen[bytes]) -> Iterator[None]:
    """Kill ``process`` at the end of the block."""
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_a_chunk_of_a_missing_pipeline_is_given_back_with_an_error(laboratory: Laboratory) -> None:
    laboratory.add(laboratory.pipeline(models={"router": "0" * 64}), 2)
    laboratory.worker()
    laboratory.scheduler()
    laboratory.wait(lambda: "chunk.given_back" in laboratory.log())
    assert {analysis.attempts for analysis in laboratory.analyses()} == {0}
    assert laboratory.log().count("chunk.given_back") < 20


def test_two_schedulers_and_two_workers_do_everything_once(laboratory: Laboratory) -> None:
    laboratory.add(laboratory.pipeline(), 40)
    laboratory.worker()
    laboratory.worker()
    laboratory.scheduler()
    laboratory.scheduler()
    laboratory.wait(laboratory.summarised)
    assert {analysis.attempts for analysis in laboratory.analyses()} == {1}
    laboratory.assert_each_once()


def test_pool_processes_die_with_the_main_process(laboratory: Laboratory) -> None:
    worker = laboratory.worker()
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
    laboratory.wait(lambda: bool(children.read_text().split()))
    child = int(children.read_text().split()[0])
    worker.kill()
    worker.join()
    laboratory.wait(lambda: not Path(f"/proc/{child}").exists() or _is_zombie(child))
    assert os.getpid() != child


def _is_zombie(pid: int) -> bool:
    return ") Z " in Path(f"/proc/{pid}/stat").read_text()
