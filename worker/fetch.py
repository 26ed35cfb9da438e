"""Objects fetched in threads, a few images ahead of the work."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from db.queue import Leased
from storage import ObjectStore, StoreUnavailable
from telemetry.metrics import retried

AHEAD = 3
"""Objects in memory beside the one in hand."""

stubborn = retry(
    retry=retry_if_exception_type(StoreUnavailable),
    wait=wait_random_exponential(0.2, max=5),
    stop=stop_after_attempt(5),
    before_sleep=retried("object_store"),
    reraise=True,
)
"""Tries a call of the object store again, with jitter, while the store is unavailable."""


def fetch_ahead(store: ObjectStore, leases: Sequence[Leased]) -> Generator[tuple[Leased, Future[bytes]], None, None]:
    """Each lease with its object's bytes, or the store's refusal, in order.

    Only bytes are fetched here. Decoding may crash the process, so it must wait until the attempt is on record.
    """
    get = stubborn(store.get)
    waiting = deque(leases)
    with ThreadPoolExecutor(AHEAD, thread_name_prefix="fetch") as threads:
        fetching: deque[tuple[Leased, Future[bytes]]] = deque()
        try:
            while waiting or fetching:
                while waiting and len(fetching) <= AHEAD:
                    leased = waiting.popleft()
                    fetching.append((leased, threads.submit(get, leased.object_key)))
                yield fetching.popleft()
        finally:
            for _, future in fetching:
                future.cancel()
