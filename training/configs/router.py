"""Configuration of the router's training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import StrictInt
from pydantic.dataclasses import dataclass

from training.configs.read import NO_OTHER_KEYS, Number, read_config


@dataclass(frozen=True, slots=True, kw_only=True, config=NO_OTHER_KEYS)
class RouterConfig:
    """What the router is trained on, and how."""

    seed: StrictInt
    """Seed of the simulated metaphases and of the training."""
    reports: Sequence[str]
    """File names of karyotype reports in ``KARYO_TEST_DATA``; absent ones are skipped."""
    from_reports: Number
    """Share of simulated metaphases composed of chromosomes of the reports, 0..1."""
    fields: StrictInt
    """Simulated metaphases to train on; each gives some eighty labelled regions."""
    held_out: StrictInt
    """Simulated metaphases to validate on, with other seeds and other cells."""
    epochs: StrictInt
    """Passes over the regions."""
    batch: StrictInt
    """Regions per step."""
    learning_rate: Number
    """Largest learning rate of the cycle."""


def read_router_config(file: Path | None = None) -> RouterConfig:
    """Return the configuration in ``file``, or in ``training/configs/router.toml``."""
    return read_config(RouterConfig, file, "router.toml")
