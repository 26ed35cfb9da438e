"""The Celery application: transport only, and a guard that refuses to boot when it is mis-set.

PostgreSQL is the queue of record. Celery over Redis carries ids to a worker process, at least once and in no order that
matters; it stores no results, retries nothing and schedules nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Celery

from settings import Settings

ANALYSE_CHUNK = "karyo.analyse_chunk"
SUMMARISE_CASE = "karyo.summarise_case"
TASK_NAMES = frozenset({ANALYSE_CHUNK, SUMMARISE_CASE})
QUEUE = "karyo"

SOFT_TIME_LIMIT = 1500
TIME_LIMIT = 1800
VISIBILITY_TIMEOUT = 3600
"""Seconds. Redis hands a message that is unacknowledged for this long to another worker, so no task may live longer."""

# Remote control listens all the time and so notices at once that Redis went away. A worker that only takes messages
# does not look while it is busy: its acknowledgement fails, and it waits for ever for the next message.
_REQUIRED: Mapping[str, tuple[Any, str]] = {
    "task_acks_late": (True, "a message must outlive the worker that dies with it"),
    "task_reject_on_worker_lost": (True, "a message must outlive the worker that dies with it"),
    "task_acks_on_failure": (True, "PostgreSQL, not Celery, decides what is tried again"),
    "task_acks_on_timeout": (True, "PostgreSQL, not Celery, decides what is tried again"),
    "worker_prefetch_multiplier": (1, "a busy worker must not hoard messages"),
    "worker_pool": ("prefork", "a crash in native code must not take the worker with it"),
    "worker_pool_start_method": ("fork", "children take over the stop flag and open their own engines"),
    "task_serializer": ("json", "messages carry ids only"),
    "accept_content": (["json"], "messages carry ids only; anything else could run code"),
    "result_backend": (None, "results belong in PostgreSQL"),
    "task_ignore_result": (True, "results belong in PostgreSQL"),
    "task_always_eager": (False, "tasks run in worker processes"),
    "task_create_missing_queues": (False, "a misspelt queue would swallow messages"),
    "worker_enable_remote_control": (True, "it is how a busy worker notices that Redis was restarted"),
    "broker_connection_max_retries": (None, "a worker must outlast any outage of the broker"),
}


class MisconfiguredError(Exception):
    """The worker would lose or repeat work if it ran with these settings; says which and why."""


def make_app(settings: Settings) -> Celery:
    """The Celery application of ``settings``; connects to nothing yet."""
    app = Celery("karyo", broker=settings.broker_url, set_as_current=False)
    app.conf.update({name: value for name, (value, _) in _REQUIRED.items()})
    app.conf.update(
        task_queues={QUEUE: {}},
        task_default_queue=QUEUE,
        task_soft_time_limit=SOFT_TIME_LIMIT,
        task_time_limit=TIME_LIMIT,
        task_publish_retry_policy={"max_retries": 2, "interval_start": 0.1, "interval_step": 0.4, "interval_max": 1},
        broker_connection_timeout=5,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT,
            "queue_order_strategy": "priority",
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
        },
        worker_send_task_events=False,
        worker_redirect_stdouts=False,
        enable_utc=True,
    )
    return app


def guard(app: Celery) -> None:
    """Refuse to boot with settings that break the promise that nothing is lost and nothing repeated.

    Raises:
        MisconfiguredError: naming the first setting that is wrong, what it must be, and why.
    """
    if not str(app.conf.broker_url or "").startswith(("redis://", "rediss://", "redis+socket://")):
        raise MisconfiguredError("KARYO_BROKER_URL must be a redis://, rediss:// or redis+socket:// address")
    for name, (wanted, why) in _REQUIRED.items():
        found = app.conf[name]
        if found != wanted:
            raise MisconfiguredError(f"{name} is {found!r} and must be {wanted!r}: {why}")

    soft, hard = app.conf.task_soft_time_limit, app.conf.task_time_limit
    visibility = app.conf.broker_transport_options.get("visibility_timeout", 3600)
    if not (soft and hard and 0 < soft < hard < visibility):
        raise MisconfiguredError(
            f"task_soft_time_limit ({soft}), task_time_limit ({hard}) and visibility_timeout ({visibility}) must be "
            "set and grow in this order: Redis would hand out a message while its task still runs"
        )
    if app.conf.beat_schedule:
        raise MisconfiguredError("beat_schedule must be empty: schedules live in PostgreSQL")
    if strange := {name for name in app.tasks if not name.startswith("celery.")} - TASK_NAMES:
        raise MisconfiguredError(f"unknown tasks {sorted(strange)}: tasks have explicit names, of karyo")
    for name in TASK_NAMES & set(app.tasks):
        task = app.tasks[name]
        if not (task.acks_late and task.reject_on_worker_lost and task.ignore_result):
            raise MisconfiguredError(f"task {name} overrides acks_late, reject_on_worker_lost or ignore_result")
