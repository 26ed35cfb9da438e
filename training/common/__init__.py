"""Code that every training uses: checkpoint, optimiser, ONNX export and restore, card."""
