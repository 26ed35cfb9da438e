"""Training of the contour router."""
