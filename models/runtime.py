"""ONNX Runtime. Every other file imports it from here, so that its telemetry is off (see ``models/__init__.py``)."""

import onnxruntime as ort

__all__ = ["ort"]
