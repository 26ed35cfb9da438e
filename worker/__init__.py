"""Celery application and tasks; no other room imports Celery.

This package exports what a publisher needs. The worker itself loads the science and is imported from ``worker.main``.
"""

from worker.celery_app import MisconfiguredError, check_configuration, make_app
from worker.publisher import CeleryPublisher, make_publisher

__all__ = ["CeleryPublisher", "MisconfiguredError", "check_configuration", "make_app", "make_publisher"]
