"""What every training shares: model cards, ONNX export, optimiser, precision."""
