"""Simulation, data sets, training loops and evaluation of the networks."""
