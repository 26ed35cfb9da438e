"""Metaphase images: bounded decoding, normalisation of contrast and scale, tiles."""
