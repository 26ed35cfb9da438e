"""Accuracy on evaluation sets and in simulation."""
