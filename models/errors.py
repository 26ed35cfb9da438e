"""Errors of engines, importable without ONNX Runtime."""

from __future__ import annotations


class EngineUnavailable(Exception):
    """An engine that cannot serve a model here; the message gives the reason and the remedy."""
