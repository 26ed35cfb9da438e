"""ONNX Runtime with its telemetry off; the one place that imports it."""

from models.errors import EngineUnavailable

try:
    import onnxruntime as ort
except ImportError as problem:
    raise EngineUnavailable(
        f"ONNX Runtime cannot be imported ({problem}): run `pip install 'karyoflow[cpu]'`, or `pip install "
        "'karyoflow[gpu]'` on a machine with an NVIDIA GPU"
    ) from problem

__all__ = ["ort"]
