"""Helpers for threads and processes that any room may use."""

from concurrency.ordered_map import map_ahead

__all__ = ["map_ahead"]
