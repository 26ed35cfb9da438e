"""The Celery application and its tasks; nothing else knows Celery.

What takes part in the work itself, and so loads the science, is imported from ``worker.main``.
"""

from worker.celery_app import MisconfiguredError, guard, make_app
from worker.publisher import CeleryPublisher, publisher

__all__ = ["CeleryPublisher", "MisconfiguredError", "guard", "make_app", "publisher"]
