"""Analyses one chunk of images: prefetch, pipeline, results, leases."""
