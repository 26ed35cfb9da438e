"""ONNX Runtime; every other file imports it from here, with its telemetry off (``models/__init__.py``)."""

from models.errors import EngineUnavailable

try:
    import onnxruntime as ort
except ImportError as problem:
    raise EngineUnavailable(
        f"ONNX Runtime cannot be imported ({problem}): run `pip install 'karyoflow[cpu]'`, or `pip install "
        "'karyoflow[gpu]'` on a machine with an NVIDIA GPU"
    ) from problem

__all__ = ["ort"]
