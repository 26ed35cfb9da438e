"""Definitions of the networks, in torch; only training imports them, the runtime reads their exported ONNX files."""
