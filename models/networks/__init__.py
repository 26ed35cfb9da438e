"""Definitions of the networks in torch, for training only; the runtime reads their exported ONNX files."""
