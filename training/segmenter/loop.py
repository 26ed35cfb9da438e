"""The training loop of the segmenter: seeded, resumable, logged."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from karyotyping.segmentation.instance_decoding import AXIS_BINS, DENSE_MAPS, HIDDEN_UNITS, PROTOTYPES
from models.networks.segmenter import Segmenter
from training.common.onnx_restore import restore_weights
from training.common.optimiser import Optimiser, read_averaged_weights, update_batch_norm
from training.segmenter.losses import LOSS_NAMES, compute_losses, weighted_sum
from training.segmenter.sample import Stream
from training.segmenter.targets import Batch, make_batch

_STEEPEST = 10.0
"""Largest norm of a gradient: one field of a kind never seen must not undo what was learnt."""
_LOOKED = 4
"""Batches that tell what an exported network is to normalise."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train; the fields of ``training/configs/segmenter.toml`` of these names."""

    seed: int
    steps: int
    widths: Sequence[int]
    """Channels of the network, as ``Segmenter`` takes them."""
    batch: int
    masks: int
    """At most so many are asked for of each field."""
    threads: int
    learning_rate: float
    weight_decay: float
    averaging: float
    """Share of the running average of the weights that a step keeps."""
    kept: float
    """Share that the weights which the training began with have in those of its end: between both the network is better
    at what neither training showed it (WiSE-FT, Wortsman et al. 2022)."""
    settling: int
    """Batches over which the statistics of batch normalisation are taken afresh for the averaged weights."""
    every: int
    """Steps between checkpoints, and between lines of the log."""
    weights: Mapping[str, float]
    """Of the losses, by their names."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Settings:
        """Those among other fields of a configuration.

        Raises:
            ValueError: the losses that it weighs are not those that there are.
        """
        if set(config["weights"]) != set(LOSS_NAMES):
            raise ValueError(f"[weights] must weigh {', '.join(LOSS_NAMES)}, and does {', '.join(config['weights'])}")
        return cls(**{item.name: config[item.name] for item in fields(cls)})


def build_segmenter(widths: Sequence[int]) -> Segmenter:
    """A network with its first weights, whose maps ``karyotyping.segmentation.instance_decoding`` decodes."""
    return Segmenter(AXIS_BINS, PROTOTYPES, HIDDEN_UNITS, len(DENSE_MAPS), widths)


def fit(
    stream: Stream,
    settings: Settings,
    folder: Path,
    say: Callable[[str], None],
    start: Path | None = None,
    *,
    usual: Stream | None = None,
) -> Segmenter:
    """Train, or go on from the last checkpoint in ``folder``; the network with its averaged weights.

    AdamW, one cycle of learning rate, an exponential average of the weights. Step n sees the same fields and draws the
    same numbers whether or not the training was interrupted before it. ``folder`` gets ``checkpoint.pt`` and
    ``log.jsonl``.

    Args:
        stream: fields to learn from.
        settings: how.
        folder: of this training alone.
        say: told of each line of the log.
        start: checkpoint of an earlier training, whose averaged weights this one begins with, or what it exported;
            dilated blocks that it lacks begin as shortcuts.
        usual: fields on which the statistics of batch normalisation are taken at the end; ``stream`` by default.

    Raises:
        ValueError: ``start`` is of another network.
    """
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    network = build_segmenter(settings.widths)
    if start is not None and start.suffix == ".onnx":
        seen = torch.cat([batch.stain for batch in islice(iterate_batches(stream, 0, settings), _LOOKED)])
        restore_weights(network, start, lambda: network(seen), within="segmenter")
    elif start is not None:
        _begin(network, start)
    first = {name: value.detach().clone() for name, value in network.named_parameters()} if start is not None else {}
    optimisation = Optimiser(
        network,
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warming=0.1,
        kept=lambda steps: _kept(settings.averaging, steps),
        checkpoint=folder / "checkpoint.pt",
        steepest=_STEEPEST,
    )
    done = optimisation.resume()
    if done:
        say(f"resuming after step {done} of {settings.steps}")
    network.train()
    batches = prefetch(iterate_batches(stream, done, settings))
    began, log = time.monotonic(), LossLog(folder / "log.jsonl", settings, say)
    for step in range(done, settings.steps):
        found = compute_losses(network, next(batches))
        optimisation.step(weighted_sum(found, settings.weights))
        log.add({name: float(value.detach()) for name, value in found.items()})
        if (step + 1) % settings.every == 0 or step + 1 == settings.steps:
            log.write(step + 1, settings.batch * (step + 1 - done) / (time.monotonic() - began))
            optimisation.save(step + 1)
    trained: Segmenter = optimisation.averaged
    with torch.no_grad():
        for name, value in trained.named_parameters():
            value.lerp_(first.get(name, value), settings.kept)
    settling = islice(iterate_batches(usual or stream, settings.steps, settings), settings.settling)
    update_batch_norm(trained, (batch.stain for batch in settling), trained)
    trained.eval()
    return trained


def _begin(network: Segmenter, start: Path) -> None:
    fresh, found = network.state_dict(), read_averaged_weights(start)
    if any(name not in fresh or fresh[name].shape != value.shape for name, value in found.items()):
        raise ValueError(f"{start} is no checkpoint of a segmenter of these widths: begin with another, or without")
    network.load_state_dict({**fresh, **found})


def iterate_batches(stream: Stream, step: int, settings: Settings) -> Iterator[Batch]:
    """The batch of this step and those after it."""
    coming = stream(step * settings.batch)
    while True:
        random = np.random.default_rng((settings.seed, step))
        yield make_batch(list(islice(coming, settings.batch)), random, settings.masks)
        step += 1


def prefetch(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same, each made by a thread while the one before it is used."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, batches)
        while True:
            batch = coming.result()
            coming = thread.submit(next, batches)
            yield batch


class LossLog:
    """Mean losses since the last line, as JSON lines and in words."""

    def __init__(self, path: Path, settings: Settings, say: Callable[[str], None]) -> None:
        self._path, self._settings, self._say = path, settings, say
        self._seen: list[dict[str, float]] = []

    def add(self, found: dict[str, float]) -> None:
        """The losses of one step."""
        self._seen.append(found)

    def write(self, step: int, per_second: float) -> None:
        """A line about the steps since the last."""
        mean = {name: round(float(np.mean([found[name] for found in self._seen])), 4) for name in LOSS_NAMES}
        total = round(sum(self._settings.weights[name] * value for name, value in mean.items()), 4)
        line = {"step": step, "loss": total, **mean, "tiles_per_second": round(per_second, 2)}
        with self._path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        each = ", ".join(f"{name} {value:.3f}" for name, value in mean.items())
        self._say(f"step {step}/{self._settings.steps}: loss {total:.3f} ({each}), {per_second:.2f} tiles/s")
        self._seen.clear()


def _kept(averaging: float, steps: float) -> float:
    """Share of the average that is kept: less at first, so that short trainings forget how they began."""
    return min(averaging, (1 + steps) / (10 + steps))
