"""Publisher of messages on the broker, which the scheduler uses without knowing Celery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from settings import Settings
from worker.celery_app import ANALYSE_CHUNK, QUEUE, SUMMARISE_CASE, make_app

CASE_PRIORITY = 0  # Redis priority of summaries, ahead of all images
CHUNK_PRIORITIES = (3, 6, 9)  # Redis priorities of ``db.schema.Priority`` stat, routine and backlog


class CeleryPublisher:
    """Publishes messages; each call reaches the broker or raises ``ConnectionError``."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish_chunk(self, ids: Sequence[int], priority: int) -> None:
        """Request the analyses ``ids``.

        Args:
            ids: of analyses.
            priority: of ``db.schema.Priority``; a lower one runs first.

        Raises:
            ConnectionError: the broker does not answer within a few seconds.
        """
        self._send(ANALYSE_CHUNK, [list(ids)], CHUNK_PRIORITIES[min(priority, len(CHUNK_PRIORITIES) - 1)])

    def publish_case(self, case_id: int, pipeline_id: int, revision: int) -> None:
        """Request the summary of a case.

        Raises:
            ConnectionError: the broker does not answer within a few seconds.
        """
        self._send(SUMMARISE_CASE, [case_id, pipeline_id, revision], CASE_PRIORITY)

    def _send(self, name: str, args: list[Any], priority: int) -> None:
        try:
            self._app.send_task(name, args=args, queue=QUEUE, priority=priority, ignore_result=True)
        except OperationalError as problem:
            raise ConnectionError(f"the broker cannot be reached: {problem}") from problem


def make_publisher(settings: Settings) -> CeleryPublisher:
    """Return a publisher on the broker of ``settings``; it connects at its first message."""
    return CeleryPublisher(make_app(settings))
