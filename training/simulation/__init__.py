"""Simulation of metaphases from ideograms, with exact truth; it never imports torch."""

from training.simulation.appearance import Appearance, Optics
from training.simulation.dataset import simulate_case, write_dataset
from training.simulation.metaphase import SimulatedMetaphase, simulate

__all__ = ["Appearance", "Optics", "SimulatedMetaphase", "simulate", "simulate_case", "write_dataset"]
