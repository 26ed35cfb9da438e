"""The Celery application and its tasks; nothing else knows Celery."""

from worker.app import MisconfiguredError, guard, make_app
from worker.process import main
from worker.publisher import CeleryPublisher, publisher

__all__ = ["CeleryPublisher", "MisconfiguredError", "guard", "main", "make_app", "publisher"]
