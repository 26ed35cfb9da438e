"""Retry policy of a worker: calls of database and object store outlast a short outage."""

from __future__ import annotations

from tenacity import (
    retry,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from db.engine import SessionFactory
from db.outages import LONGEST_PAUSE, RetryingTransactions
from storage import StoreUnavailable
from telemetry.metrics import count_retries

STORE_ATTEMPTS = 5
STORE_PATIENCE = 60  # s, over all attempts

retry_store = retry(
    retry=retry_if_exception_type(StoreUnavailable),
    wait=wait_random_exponential(0.2, max=LONGEST_PAUSE),
    stop=stop_after_attempt(STORE_ATTEMPTS) | stop_after_delay(STORE_PATIENCE),
    before_sleep=count_retries("object_store"),
    reraise=True,
)
"""Decorator of a call of the object store: repeats it, with jitter, while the store is unavailable.

A missing or damaged object is not retried, because another call has the same answer.
"""


def retrying_transactions(sessions: SessionFactory, patience: float) -> RetryingTransactions:
    """Return transactions that are repeated after an outage, and counted.

    Args:
        sessions: where the transactions are opened.
        patience: seconds after which an outage is raised.
    """
    return RetryingTransactions(sessions, patience, count_retries("database"))
