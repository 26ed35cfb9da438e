"""Evaluation of chromosome classes: accuracy, calibration, risk against coverage."""
