"""The five-way segmentation stream, from contours to single chromosomes."""
