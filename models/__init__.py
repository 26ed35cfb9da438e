"""Trained networks and how they run: definitions, weights with their registry, and engines."""

import os

# ONNX Runtime resolves its vendor's telemetry host and writes to ~/.cache unless this is set before its first import.
# The value in the environment is overwritten: a medical system sends no telemetry.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
