"""Messages carry ids only, urgent ones come first, and an outage is a ``ConnectionError``."""

from __future__ import annotations

import base64
import json
import time

import pytest
import redis

from settings import Settings
from worker import make_publisher


def settings(broker_url: str) -> Settings:
    return Settings(
        database_url="postgresql:///karyo", broker_url=broker_url, object_store="file:///objects", embedded=True
    )


def test_messages_are_json_ids_in_order_of_urgency(redis_url: str) -> None:
    publisher = make_publisher(settings(redis_url))
    publisher.publish_chunk([7, 8], 2)
    publisher.publish_chunk([1], 0)
    publisher.publish_case(3, 4, 5)
    with redis.Redis.from_url(redis_url) as broker:
        queues = ["karyo", *(f"karyo\x06\x16{step}" for step in (3, 6, 9))]
        sent = [[json.loads(message) for message in broker.lrange(name, 0, -1)] for name in queues]
    bodies = [[json.loads(base64.b64decode(message["body"]))[0] for message in messages] for messages in sent]
    assert bodies == [[[3, 4, 5]], [[[1]]], [], [[[7, 8]]]]
    assert {message["content-type"] for messages in sent for message in messages} == {"application/json"}


def test_an_outage_of_the_broker_is_raised_quickly() -> None:
    started = time.monotonic()
    with pytest.raises(ConnectionError, match="broker cannot be reached"):
        make_publisher(settings("redis://127.0.0.1:1/0")).publish_chunk([1], 1)
    assert time.monotonic() - started < 10
