"""Celery application, transport only, and the check that refuses a misconfigured worker.

PostgreSQL is the queue of record. Celery over Redis carries ids to a worker process, at least once and in any order. It
stores no results, retries nothing and schedules nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Celery

from settings import ConfigurationError, Settings

ANALYSE_CHUNK = "karyo.analyse_chunk"
SUMMARISE_CASE = "karyo.summarise_case"
TASK_NAMES = frozenset({ANALYSE_CHUNK, SUMMARISE_CASE})
QUEUE = "karyo"

SOFT_TIME_LIMIT = 1500  # s
TIME_LIMIT = 1800  # s
VISIBILITY_TIMEOUT = 3600  # s, after which Redis gives an unacknowledged message to another worker

# Remote control reads from Redis all the time and so notices a lost connection at once. Without it a busy worker reads
# nothing: its acknowledgement fails, and it waits for ever for the next message.
_REQUIRED: Mapping[str, tuple[Any, str]] = {
    "task_acks_late": (True, "a message must outlive the worker that dies with it"),
    "task_reject_on_worker_lost": (True, "a message must outlive the worker that dies with it"),
    "task_acks_on_failure": (True, "PostgreSQL, not Celery, decides what is retried"),
    "task_acks_on_timeout": (True, "PostgreSQL, not Celery, decides what is retried"),
    "worker_prefetch_multiplier": (1, "a busy worker must not hoard messages"),
    "worker_pool": ("prefork", "a crash in native code must not take the worker with it"),
    "worker_pool_start_method": ("fork", "children inherit the stop flag and open their own engines"),
    "task_serializer": ("json", "messages carry ids only"),
    "accept_content": (["json"], "messages carry ids only; anything else could run code"),
    "result_backend": (None, "results belong in PostgreSQL"),
    "task_ignore_result": (True, "results belong in PostgreSQL"),
    "task_always_eager": (False, "tasks run in worker processes"),
    "task_create_missing_queues": (False, "a misspelt queue would swallow messages"),
    "worker_enable_remote_control": (True, "it is how a busy worker notices that Redis was restarted"),
    "broker_connection_max_retries": (None, "a worker must outlast any outage of the broker"),
}


class MisconfiguredError(ConfigurationError):
    """A setting with which the worker would lose or repeat work."""


def make_app(settings: Settings) -> Celery:
    """Return the Celery application of ``settings``; it connects to nothing yet."""
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


def check_configuration(app: Celery) -> None:
    """Refuse settings with which messages would be lost or repeated.

    Raises:
        MisconfiguredError: names the first wrong setting, its required value and the reason.
    """
    if not str(app.conf.broker_url or "").startswith(("redis://", "rediss://", "redis+socket://")):
        raise MisconfiguredError("KARYO_BROKER_URL must be a redis://, rediss:// or redis+socket:// address")
    for name, (wanted, why) in _REQUIRED.items():
        value = app.conf[name]
        if value != wanted:
            raise MisconfiguredError(f"{name} is {value!r} and must be {wanted!r}: {why}")

    soft, hard = app.conf.task_soft_time_limit, app.conf.task_time_limit
    visibility = app.conf.broker_transport_options.get("visibility_timeout", 3600)
    if not (soft and hard and 0 < soft < hard < visibility):
        raise MisconfiguredError(
            f"task_soft_time_limit ({soft}), task_time_limit ({hard}) and visibility_timeout ({visibility}) must be "
            "set and grow in this order: Redis would hand out a message while its task still runs"
        )
    if app.conf.beat_schedule:
        raise MisconfiguredError("beat_schedule must be empty: schedules live in PostgreSQL")
    if unknown := {name for name in app.tasks if not name.startswith("celery.")} - TASK_NAMES:
        raise MisconfiguredError(f"unknown tasks {sorted(unknown)}: tasks have explicit names, of karyo")
    for name in TASK_NAMES & set(app.tasks):
        task = app.tasks[name]
        if not (task.acks_late and task.reject_on_worker_lost and task.ignore_result):
            raise MisconfiguredError(f"task {name} overrides acks_late, reject_on_worker_lost or ignore_result")
