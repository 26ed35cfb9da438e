"""Training of the segmenter: simulated tiles, pseudo-labels, targets, losses, export."""
