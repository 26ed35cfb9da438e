"""Accuracy, speed, and the service under load: `python -m benchmarks.KIND.NAME`."""

import models  # noqa: F401 - switches the telemetry of ONNX Runtime off before any benchmark imports it
