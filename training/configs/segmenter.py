"""Configuration of the segmenter's training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import StrictInt
from pydantic.dataclasses import dataclass

from training.configs.read import NO_OTHER_KEYS, Number, read_config


@dataclass(frozen=True, slots=True, kw_only=True, config=NO_OTHER_KEYS)
class LossWeights:
    """Weights of the losses in their sum."""

    centre: Number
    """Focal loss of the midpoints."""
    mask_bce: Number
    """Binary cross entropy of the masks."""
    mask_dice: Number
    """Dice loss of the masks."""
    quality: Number
    """Cross entropy of the expected IoU."""
    dense_bce: Number
    """Binary cross entropy of the dense maps."""
    dense_dice: Number
    """Dice loss of the dense maps."""


@dataclass(frozen=True, slots=True, kw_only=True, config=NO_OTHER_KEYS)
class SegmenterConfig:
    """What the segmenter is trained on, and how."""

    seed: StrictInt
    """Seed of the simulated tiles and of the training; validation uses the next one."""
    reports: Sequence[str]
    """File names of karyotype reports in ``KARYO_TEST_DATA``; absent ones are skipped."""
    cases: Mapping[str, Sequence[str]]
    """Cases to train on, by report; the other cases of that report are for evaluation."""
    widths: Sequence[StrictInt]
    """Channels at a half, a quarter, an eighth and a sixteenth of the resolution."""
    steps: StrictInt
    """Steps of the training."""
    batch: StrictInt
    """Tiles per step."""
    masks: StrictInt
    """Masks drawn per tile and step, at most."""
    threads: StrictInt
    """Threads of the training itself."""
    turns: StrictInt
    """Orientations in which each simulated tile is used."""
    workers: StrictInt
    """Processes that simulate tiles ahead."""
    learning_rate: Number
    """Largest learning rate of the cycle."""
    weight_decay: Number
    """Weight decay of AdamW."""
    averaging: Number
    """Decay of the exponential moving average of the weights, 0..1."""
    kept: Number
    """Share of the starting weights in the final ones, 0..1 (WiSE-FT, Wortsman et al. 2022)."""
    settling: StrictInt
    """Batches over which batch normalisation is measured for the averaged weights."""
    every: StrictInt
    """Steps between checkpoints, and between lines of the log."""
    held_out: StrictInt
    """Simulated tiles to validate on, with other seeds and other cells."""
    weights: LossWeights
    """Weights of the losses."""


def read_segmenter_config(file: Path | None = None, *, shipped: str = "segmenter.toml") -> SegmenterConfig:
    """Return the configuration in ``file``, or in ``training/configs/segmenter.toml``.

    Args:
        file: TOML file of the user.
        shipped: the shipped file to read without one; ``photographs.toml`` adds metaphase images.
    """
    return read_config(SegmenterConfig, file, shipped)
