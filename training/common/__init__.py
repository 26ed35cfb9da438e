"""Code that every training uses: checkpoints, optimiser, ONNX export and restore, model cards."""
