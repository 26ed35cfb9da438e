"""Training loop of the embedding network: seeded, resumable, logged."""

from __future__ import annotations

import time
from dataclasses import fields
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
from training.common.progress import Log, append_json_line
from training.configs.embedder import FitConfig
from training.embedder.augment import Strength, augment, stain_centromeres
from training.embedder.checkpoint import restore_embedder
from training.embedder.data import NO_CLASS, Chromosomes
from training.embedder.losses import PROTOTYPES, margin_softmax, polarity_loss, right_prototypes, triplet_loss
from training.embedder.negatives import make_negatives

_LOG_EVERY = 200  # steps between checkpoints, and between lines of the log
_RESTORE_BATCHES = 8  # batches on which an exported network's batch normalisation is measured
_BATCH_NORM_BATCHES = 40  # batches on which the averaged weights' batch normalisation is measured


class Batches:
    """Augmented batches by number; a batch depends on the seed and its number alone.

    Args:
        chromosomes: N chromosomes to draw from.
        weights: (N,) sampling weights.
        config: configuration of the training.
    """

    def __init__(self, chromosomes: Chromosomes, weights: NDArray[np.float64], config: FitConfig) -> None:
        self._canvas = torch.from_numpy(chromosomes.canvas)
        self._class_index = torch.from_numpy(chromosomes.class_index)
        self._upright = torch.from_numpy(chromosomes.upright)
        self._centromere = torch.from_numpy(chromosomes.centromere)
        self._weights = torch.from_numpy(weights)
        self._config = config
        usual = Strength()
        self._strength = Strength(*(config.strength * getattr(usual, item.name) for item in fields(usual)))

    def __call__(self, number: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return a batch of N chromosomes; numbers below 0 are batches that no step learns from.

        Returns:
            Appearance (N, 1, ROWS, COLUMNS), class index (N,), turned (N,) and
            upright (N,).
        """
        size, negatives = self._config.batch, self._config.negatives
        random = torch.Generator().manual_seed(self._config.seed * 1_000_003 + number)
        chosen = torch.multinomial(self._weights, size, replacement=True, generator=random)
        turned = torch.rand(size, generator=random) < 0.5
        canvas = stain_centromeres(self._canvas[chosen], self._centromere[chosen], random)
        appearance = augment(canvas, turned, random, self._strength)
        class_index, upright = self._class_index[chosen], self._upright[chosen]
        if negatives:
            appearance[:negatives] = make_negatives(appearance[:negatives], random)
            class_index[:negatives], upright[:negatives] = NO_CLASS, False
        return appearance.contiguous(memory_format=torch.channels_last), class_index, turned, upright


def fit(batches: Batches, config: FitConfig, folder: Path, log: Log, start: Path | None = None) -> Any:
    """Train the network, or continue from the last checkpoint in ``folder``.

    AdamW, cycles of the learning rate, averaged weights. It uses one thread, so that a seed gives the same weights on
    the same machine.

    Args:
        batches: batches to learn from.
        config: configuration of the training.
        folder: folder of this training alone.
        log: receives lines of progress.
        start: exported network to start from.

    Returns:
        Module list of the ``Embedder`` and its ``Prototypes``, with averaged weights, in evaluation mode.

    Raises:
        ValueError: ``start`` is another kind of network.
    """
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    trained: Any = nn.ModuleList([Embedder(ROWS), Prototypes(PROTOTYPES)])
    if start is not None:
        restore_embedder(trained, start, torch.cat([batches(-1 - number)[0] for number in range(_RESTORE_BATCHES)]))
    for cycle in range(config.cycles):
        trained = _fit_cycle(trained, batches, config, folder, log, cycle=cycle)
    update_batch_norm(trained, (batches(-1 - number)[0] for number in range(_BATCH_NORM_BATCHES)), trained[0])
    trained.eval()
    if config.objective == "triplet":
        centre_prototypes(trained, batches)
    return trained


def _fit_cycle(trained: Any, batches: Batches, config: FitConfig, folder: Path, log: Log, *, cycle: int) -> Any:
    """Train for one cycle of the learning rate; return the network with averaged weights."""
    optimiser = Optimiser(
        trained,
        steps=config.steps,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warmup_share=0.2,
        average_decay=lambda _: config.averaging,
        checkpoint=folder / f"checkpoint-{cycle}.pt",
    )
    first, total = cycle * config.steps, config.cycles * config.steps
    start = optimiser.resume()
    if 0 < start < config.steps:
        log(f"resuming after step {first + start} of {total}")
    trained.train()
    began, losses = time.monotonic(), list[float]()
    for step in range(start, config.steps):
        loss = _loss(trained, batches(first + step), config)
        optimiser.step(loss)
        losses.append(loss.item())
        done = step + 1
        if done % _LOG_EVERY == 0 or done == config.steps:
            line = {"step": first + done, "loss": round(sum(losses) / len(losses), 4)}
            line["images_per_second"] = round(config.batch * (done - start) / (time.monotonic() - began))
            append_json_line(folder / "log.jsonl", line)
            log(f"step {first + done}/{total}: loss {line['loss']}, {line['images_per_second']} chromosomes/s")
            optimiser.save(done)
            losses.clear()
    return optimiser.averaged


def _loss(trained: Any, batch: tuple[Tensor, Tensor, Tensor, Tensor], config: FitConfig) -> Tensor:
    """Return the loss of a batch: of its classes, and of its polarities."""
    embedder, prototypes = trained
    appearance, class_index, turned, upright = batch
    with autocast_bfloat16():
        embedding, polarity = (output.float() for output in embedder(appearance))
    if config.objective == "triplet":
        loss = triplet_loss(embedding, class_index, config.margin)
    else:
        right = right_prototypes(class_index, turned, upright)
        loss = margin_softmax(prototypes(embedding), right, config.scale, config.margin).mean()
    return loss + config.polarity * polarity_loss(polarity, turned, upright)


def centre_prototypes(trained: Any, batches: Batches) -> None:
    """Set every prototype to the mean of its chromosomes' embeddings."""
    sums = torch.zeros(PROTOTYPES, DIMENSIONS)
    with torch.no_grad():
        for number in range(_BATCH_NORM_BATCHES):
            appearance, class_index, turned, upright = batches(-1 - number)
            sums += right_prototypes(class_index, turned, upright).float().T @ trained[0](appearance)[0]
        trained[1].directions.copy_(sums)
