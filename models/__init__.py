"""What was learned and how it runs: engines, the registry of weights, and the networks' definitions."""

import os

# ONNX Runtime looks up its vendor's telemetry host and writes to ~/.cache unless this is set before its first import.
# It is set whatever the environment says: a medical system calls nobody.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
