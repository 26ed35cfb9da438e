"""Geometry of one chromosome: medial axis, straightening, centromere, band profile."""
