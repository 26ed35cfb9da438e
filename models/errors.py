"""The error of an engine that cannot run; it imports no ONNX Runtime, which may be what is missing."""

from __future__ import annotations


class EngineUnavailable(Exception):
    """An engine that cannot serve a model here; the message gives the reason and what to install."""
