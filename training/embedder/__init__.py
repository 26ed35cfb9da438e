"""Training of the embedding network, and its adaptation to a laboratory."""
