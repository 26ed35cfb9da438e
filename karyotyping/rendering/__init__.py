"""Rendering of a cell: overlays of outlines, and karyograms."""
