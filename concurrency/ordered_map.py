"""Ordered map over an executor with a bounded number of items in flight.

``Executor.map`` submits every item at once before Python 3.14, whose ``buffersize`` does the same as this module.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    executor: Executor, function: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Generator[Result, None, None]:
    """Yield ``function(item)`` for every item, in order, while the executor is ahead.

    The end of the iterator shuts the executor down. Closing the iterator, or an exception of ``function``, does so too,
    and cancels the items that have not begun.

    Args:
        executor: threads or processes for this map alone.
        function: called by the executor.
        items: consumed only as far as needed, so they may have no end.
        ahead: items that are submitted beyond the one that is yielded; bounds the memory.

    Raises:
        Exception: whatever ``function`` raises, in place of its result.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> list(map_ahead(ThreadPoolExecutor(2), abs, [-3, 2, -1], ahead=1))
    [3, 2, 1]
    """
    futures: deque[Future[Result]] = deque()
    try:
        for item in items:
            futures.append(executor.submit(function, item))
            if len(futures) > ahead:
                yield futures.popleft().result()
        while futures:
            yield futures.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)
