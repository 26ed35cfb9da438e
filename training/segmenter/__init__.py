"""The segmenter: simulated fields, its targets and losses, how it is trained and exported."""
