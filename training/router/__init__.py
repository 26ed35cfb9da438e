"""Trains the contour router."""
