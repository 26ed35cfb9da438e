"""Calls of the object store that outlast a short absence of it."""

from __future__ import annotations

from tenacity import retry, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_random_exponential

from storage import StoreUnavailable
from telemetry.metrics import count_retries

stubborn = retry(
    retry=retry_if_exception_type(StoreUnavailable),
    wait=wait_random_exponential(0.2, max=5),
    stop=stop_after_attempt(5) | stop_after_delay(60),
    before_sleep=count_retries("object_store"),
    reraise=True,
)
"""Tries a call of the object store again, with jitter, while the store is unavailable.

What the store says of an object, that it is missing or damaged, another call would not change.
"""
