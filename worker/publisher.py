"""Puts ids on the broker. The scheduler is handed one of these and never learns that it is Celery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from settings import Settings
from worker.celery_app import ANALYSE_CHUNK, QUEUE, SUMMARISE_CASE, make_app

_STEPS = (3, 6, 9)
"""Redis priority of ``db.schema.PRIORITIES`` stat, routine and backlog; summaries go before all of them, with 0."""


class CeleryPublisher:
    """Publishes messages; each either reaches the broker or raises.

    Raises:
        ConnectionError: from every method, when the broker cannot be reached after a short while of trying.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish_chunk(self, ids: Sequence[int], priority: int) -> None:
        """Ask for the analyses ``ids``; lower priority runs first."""
        self._send(ANALYSE_CHUNK, [list(ids)], _STEPS[min(priority, len(_STEPS) - 1)])

    def publish_case(self, case_id: int, pipeline_id: int, revision: int) -> None:
        """Ask for the summary of a case."""
        self._send(SUMMARISE_CASE, [case_id, pipeline_id, revision], 0)

    def _send(self, name: str, args: list[Any], priority: int) -> None:
        try:
            self._app.send_task(name, args=args, queue=QUEUE, priority=priority, ignore_result=True)
        except OperationalError as problem:
            raise ConnectionError(f"the broker cannot be reached: {problem}") from problem


def publisher(settings: Settings) -> CeleryPublisher:
    """A publisher on the broker of ``settings``; connects when first used."""
    return CeleryPublisher(make_app(settings))
