"""The configuration check refuses a worker that could lose or repeat work."""

from __future__ import annotations

from typing import Any

import pytest

from settings import Settings
from worker.celery_app import MisconfiguredError, check_configuration, make_app

SETTINGS = Settings(
    database_url="postgresql://karyo:long-secret@db/karyo",
    broker_url="redis://:long-secret@broker:6379/0",
    object_store="file:///objects",
)


def nothing() -> None:
    """A task that does nothing."""


def test_the_default_configuration_passes() -> None:
    app = make_app(SETTINGS)
    check_configuration(app)
    assert app.conf.task_time_limit < app.conf.broker_transport_options["visibility_timeout"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_acks_late", False),
        ("task_reject_on_worker_lost", False),
        ("task_acks_on_failure", False),
        ("task_acks_on_timeout", False),
        ("worker_prefetch_multiplier", 4),
        ("worker_pool", "threads"),
        ("worker_pool_start_method", "spawn"),
        ("task_serializer", "pickle"),
        ("accept_content", ["json", "pickle"]),
        ("result_backend", "redis://broker"),
        ("task_ignore_result", False),
        ("task_always_eager", True),
        ("task_create_missing_queues", True),
        ("broker_connection_max_retries", 100),
        ("worker_enable_remote_control", False),
        ("task_soft_time_limit", None),
        ("task_time_limit", None),
        ("task_time_limit", 1000),
        ("broker_transport_options", {"visibility_timeout": 1800}),
        ("broker_transport_options", {"visibility_timeout": 60}),
        ("beat_schedule", {"nightly": {"task": "karyo.analyse_chunk", "schedule": 60}}),
    ],
)
def test_the_check_names_the_wrong_setting(name: str, value: Any) -> None:
    app = make_app(SETTINGS)
    app.conf[name] = value
    expected = "visibility_timeout" if name == "broker_transport_options" else name
    with pytest.raises(MisconfiguredError, match=expected):
        check_configuration(app)


def test_other_brokers_are_refused() -> None:
    app = make_app(SETTINGS)
    app.conf.broker_url = "amqp://broker"
    with pytest.raises(MisconfiguredError, match="KARYO_BROKER_URL"):
        check_configuration(app)


def test_unknown_tasks_are_refused() -> None:
    app = make_app(SETTINGS)
    app.task(name="something.else", shared=False)(nothing)
    with pytest.raises(MisconfiguredError, match=r"something\.else"):
        check_configuration(app)


@pytest.mark.parametrize("option", ["acks_late", "reject_on_worker_lost", "ignore_result"])
def test_a_task_that_overrides_a_required_setting_is_refused(option: str) -> None:
    app = make_app(SETTINGS)
    app.task(name="karyo.analyse_chunk", shared=False, **{option: False})(nothing)
    with pytest.raises(MisconfiguredError, match="overrides"):
        check_configuration(app)
