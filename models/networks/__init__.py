"""Definitions of the networks in torch, for training; the runtime reads exported files."""
