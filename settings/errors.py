"""Errors of the configuration."""

from __future__ import annotations


class ConfigurationError(Exception):
    """A configuration that no retry mends; the message says what to set, and holds no secret."""
