"""The training loop of the embedding network: seeded, resumable, logged."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from karyotyping.classification.embedder import ROWS
from models.networks.embedder import DIMENSIONS, Embedder, Prototypes
from training.common.optimiser import Optimiser, update_batch_norm
from training.common.precision import autocast_bfloat16
from training.embedder.augment import Strength, augment, stain_centromeres
from training.embedder.checkpoint import restore_embedder
from training.embedder.data import Chromosomes
from training.embedder.losses import PROTOTYPES, margin_softmax, polarity_loss, right_prototypes, triplet_loss
from training.embedder.negatives import make_negatives

_EVERY = 200
"""Steps between checkpoints, and between lines of the log."""
_LOOKED = 8
"""Batches that tell what an exported network is to normalise."""
_SETTLING = 40
"""Batches over which the statistics of batch normalisation are taken afresh for the averaged weights."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train; the fields of ``training/configs/embedder.toml`` of these names."""

    seed: int
    cycles: int
    """How often the learning rate rises and falls; each cycle begins with the averaged weights of the one before it
    (Loshchilov & Hutter 2017)."""
    steps: int
    """Of each cycle."""
    batch: int
    negatives: int
    """Of each batch, how many are spoiled into what has no class."""
    learning_rate: float
    weight_decay: float
    averaging: float
    """Share of the running average of the weights that a step keeps."""
    scale: float
    """Of the cosines, before the softmax."""
    margin: float
    objective: str
    """``margin_softmax`` learns the prototypes; ``triplet`` takes them to be the means of the classes."""
    polarity: float
    """Weight of the polarity head's loss."""
    strength: float
    """Of the augmentation, in units of the usual one."""

    @classmethod
    def of(cls, config: dict[str, Any]) -> Settings:
        """Those among other fields of a configuration."""
        return cls(**{item.name: config[item.name] for item in fields(cls)})


class Batches:
    """Augmented batches: the n-th depends on the seed and on n alone, so that training can go on where it stopped."""

    def __init__(self, chromosomes: Chromosomes, weights: NDArray[np.float64], settings: Settings) -> None:
        self._canvas = torch.from_numpy(chromosomes.canvas)
        self._class_index = torch.from_numpy(chromosomes.class_index)
        self._upright = torch.from_numpy(chromosomes.upright)
        self._centromere = torch.from_numpy(chromosomes.centromere)
        self._weights = torch.from_numpy(weights)
        self._settings = settings
        usual = Strength()
        self._strength = Strength(*(settings.strength * getattr(usual, item.name) for item in fields(usual)))

    def __call__(self, number: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Appearance (N, 1, H, W), class index (-1: none), turned, upright (N,)."""
        size, spoil = self._settings.batch, self._settings.negatives
        random = torch.Generator().manual_seed(self._settings.seed * 1_000_003 + number)
        chosen = torch.multinomial(self._weights, size, replacement=True, generator=random)
        turned = torch.rand(size, generator=random) < 0.5
        canvas = stain_centromeres(self._canvas[chosen], self._centromere[chosen], random)
        seen = augment(canvas, turned, random, self._strength)
        class_index, upright = self._class_index[chosen], self._upright[chosen]
        if spoil:
            seen[:spoil] = make_negatives(seen[:spoil], random)
            class_index[:spoil], upright[:spoil] = -1, False
        return seen.contiguous(memory_format=torch.channels_last), class_index, turned, upright


def fit(
    batches: Batches, settings: Settings, folder: Path, say: Callable[[str], None], start: Path | None = None
) -> Any:
    """Train, or go on from the last checkpoint in ``folder``; the averaged [Embedder, Prototypes].

    AdamW, cycles of learning rate, an exponential average of the weights. One thread, so that a seed gives the same
    weights on the same machine.

    Args:
        batches: to learn from.
        settings: how.
        folder: of this training alone.
        say: told of each line of the log.
        start: exported network whose weights this training begins with.

    Raises:
        ValueError: ``start`` is of another network.
    """
    torch.set_num_threads(1)
    torch.manual_seed(settings.seed)
    trained: Any = nn.ModuleList([Embedder(ROWS), Prototypes(PROTOTYPES)])
    if start is not None:
        restore_embedder(trained, start, torch.cat([batches(-1 - number)[0] for number in range(_LOOKED)]))
    for cycle in range(settings.cycles):
        trained = _one_cycle(trained, batches, settings, folder, say, cycle=cycle)
    update_batch_norm(trained, (batches(-1 - number)[0] for number in range(_SETTLING)), trained[0])
    trained.eval()
    if settings.objective == "triplet":
        centre_prototypes(trained, batches)
    return trained


def _one_cycle(
    network: Any, batches: Batches, settings: Settings, folder: Path, say: Callable[[str], None], *, cycle: int
) -> Any:
    """The averaged [Embedder, Prototypes] after a cycle that begins with ``network``."""
    optimisation = Optimiser(
        network,
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warming=0.2,
        kept=lambda _: settings.averaging,
        checkpoint=folder / f"checkpoint-{cycle}.pt",
    )
    first, every = cycle * settings.steps, settings.cycles * settings.steps
    start = optimisation.resume()
    if 0 < start < settings.steps:
        say(f"resuming after step {first + start} of {every}")
    embedder, prototypes = network
    network.train()
    began, total = time.monotonic(), 0.0
    for step in range(start, settings.steps):
        seen, class_index, turned, upright = batches(first + step)
        with autocast_bfloat16():
            embedding, polarity = (said.float() for said in embedder(seen))
        if settings.objective == "triplet":
            loss = triplet_loss(embedding, class_index, settings.margin)
        else:
            right = right_prototypes(class_index, turned, upright)
            loss = margin_softmax(prototypes(embedding), right, settings.scale, settings.margin).mean()
        loss = loss + settings.polarity * polarity_loss(polarity, turned, upright)
        optimisation.step(loss)
        total += loss.item()
        done = step + 1
        if done % _EVERY == 0 or done == settings.steps:
            line = {"step": first + done, "loss": round(total / (done - max(start, done - _EVERY)), 4)}
            line["images_per_second"] = round(settings.batch * (done - start) / (time.monotonic() - began))
            with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            say(f"step {first + done}/{every}: loss {line['loss']}, {line['images_per_second']} chromosomes/s")
            optimisation.save(done)
            total = 0.0
    return optimisation.averaged


def centre_prototypes(trained: Any, batches: Batches) -> None:
    """Put every prototype where the mean of its chromosomes lies."""
    sums = torch.zeros(PROTOTYPES, DIMENSIONS)
    with torch.no_grad():
        for number in range(_SETTLING):
            seen, class_index, turned, upright = batches(-1 - number)
            sums += right_prototypes(class_index, turned, upright).float().T @ trained[0](seen)[0]
        trained[1].directions.copy_(sums)
