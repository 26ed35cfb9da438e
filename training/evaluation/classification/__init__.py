"""Evaluates chromosome classes: accuracy, calibration, risk against coverage."""
