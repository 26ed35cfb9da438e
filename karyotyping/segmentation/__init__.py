"""The segmentation stream, from contours to single chromosomes."""
