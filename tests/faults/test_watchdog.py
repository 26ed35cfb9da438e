"""Watchdogs end a process that makes no progress and a consumer that takes no message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from worker.celery_app import QUEUE, make_app
from worker.process.consumer_watchdog import EXIT_STATUS

if TYPE_CHECKING:
    from tests.support.laboratory import Laboratory

pytestmark = pytest.mark.stack


@pytest.mark.parametrize(("fault", "reason"), [("hang", "timed_out"), ("hang in native code", "worker_lost")])
def test_a_process_that_hangs_is_killed_and_its_image_quarantined(
    laboratory: Laboratory, fault: str, reason: str
) -> None:
    laboratory.settings = laboratory.settings.model_copy(update={"max_attempts": 1})
    pipeline = laboratory.pipeline(fault=fault)
    laboratory.add(pipeline, 2)
    laboratory.add(pipeline, 1, prefix="hangs", value=9)
    laboratory.add(pipeline, 2, prefix="after")
    laboratory.worker(KARYO_STUCK_SECONDS="1", KARYO_MAX_ATTEMPTS="1")
    laboratory.scheduler()
    laboratory.wait(laboratory.summarised)
    states = laboratory.states()
    assert states.pop("hangs0.png") == "quarantined"
    assert set(states.values()) == {"done"}
    assert {(one.reason, one.attempts) for one in laboratory.analyses() if one.reason} == {(reason, 1)}
    assert ("in analyse_batch" in laboratory.log()) == (
        reason == "worker_lost"
    )  # the traceback of the timer is in the log
    laboratory.assert_each_once()


def test_a_silent_consumer_leaves_and_its_successor_does_the_work(laboratory: Laboratory) -> None:
    pipeline = laboratory.pipeline()
    laboratory.add(pipeline, 1)
    worker = laboratory.worker(KARYO_SILENT_SECONDS="1.5")
    laboratory.scheduler()
    laboratory.wait(laboratory.summarised)
    # An idle worker with an empty queue is not silent.
    with pytest.raises(TimeoutError):
        laboratory.wait_for_exit(worker, 3)
    make_app(laboratory.settings).control.cancel_consumer(QUEUE)
    laboratory.add(pipeline, 3, prefix="untaken")
    assert laboratory.wait_for_exit(worker, 30) == EXIT_STATUS
    laboratory.worker()
    laboratory.wait(laboratory.summarised)
    assert set(laboratory.states().values()) == {"done"}
    laboratory.assert_each_once()
