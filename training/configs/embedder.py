"""Configurations of the embedding network's training and of its adaptation to a laboratory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import StrictInt
from pydantic.dataclasses import dataclass

from training.configs.read import NO_OTHER_KEYS, Number, read_config


@dataclass(frozen=True, slots=True, kw_only=True, config=NO_OTHER_KEYS)
class FitConfig:
    """How the embedding network is fitted to chromosomes."""

    seed: StrictInt
    """Seed of the simulated chromosomes and of the batches."""
    simulated_cells: StrictInt
    """Simulated cells of 46 chromosomes, in three stains."""
    cycles: StrictInt
    """Cycles of the learning rate (Loshchilov & Hutter 2017); each starts from the averaged weights of the last."""
    steps: StrictInt
    """Steps of each cycle."""
    batch: StrictInt
    """Chromosomes per step."""
    negatives: StrictInt
    """Chromosomes of each batch that are turned into objects without a class."""
    learning_rate: Number
    """Largest learning rate of a cycle."""
    weight_decay: Number
    """Weight decay of AdamW."""
    averaging: Number
    """Decay of the exponential moving average of the weights, 0..1."""
    scale: Number
    """Factor of the cosines before the softmax."""
    margin: Number
    """Cosine by which the right prototype must win."""
    objective: Literal["margin_softmax", "triplet"]
    """``margin_softmax`` learns the prototypes; ``triplet`` sets them to the means of the classes."""
    polarity: Number
    """Weight of the polarity head's loss."""
    strength: Number
    """Strength of the augmentation; 1 is the usual one."""
    sharpness: Number
    """Factor of the exported scores that calibrates their probabilities; measured on held-out folds."""


@dataclass(frozen=True, slots=True, kw_only=True, config=NO_OTHER_KEYS)
class EmbedderConfig(FitConfig):
    """How the embedding network is trained on karyotype reports."""

    folds: StrictInt
    """Parts of the cases of each report, for cross-validation."""
    reports: Mapping[str, Number]
    """Karyotype reports in ``KARYO_TEST_DATA`` (names without ``.zip``), with sampling weights of chromosomes."""
    labelled_images: Mapping[str, Number]
    """Sets of labelled metaphase images in ``KARYO_TEST_DATA``, with sampling weights of named chromosomes."""
    box_margins: tuple[Number, Number, Number, Number]
    """Pixels between the stain of a chromosome and its box in these sets: left, top, right, bottom."""
    tiles: StrictInt
    """Simulated tiles whose proposals are learned as whole or not."""
    nameless: Number
    """Sampling weight of proposals without a class, in images and tiles."""


@dataclass(frozen=True, slots=True, kw_only=True, config=NO_OTHER_KEYS)
class AdaptationConfig(FitConfig):
    """How the embedding network adapts to metaphase images without labels."""

    told: Number
    """Share of a batch drawn from the metaphase images, 0..1; the rest is simulated."""


def read_embedder_config(file: Path | None = None) -> EmbedderConfig:
    """Return the configuration in ``file``, or in ``training/configs/embedder.toml``."""
    return read_config(EmbedderConfig, file, "embedder.toml")


def read_adaptation_config(file: Path | None = None) -> AdaptationConfig:
    """Return the configuration in ``file``, or in ``training/configs/adaptation.toml``."""
    return read_config(AdaptationConfig, file, "adaptation.toml")
