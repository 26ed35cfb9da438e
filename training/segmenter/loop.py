"""Training loop of the segmenter: seeded, resumable, logged."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from karyotyping.segmentation.instance_decoding import AXIS_BINS, DENSE_MAPS, HIDDEN_UNITS, PROTOTYPES
from models.networks.segmenter import Segmenter
from training.common.checkpoint import read_averaged_weights
from training.common.onnx_restore import restore_weights
from training.common.optimiser import Optimiser, update_batch_norm
from training.common.progress import Log, append_json_line
from training.configs.segmenter import SegmenterConfig
from training.segmenter.losses import LOSS_NAMES, compute_losses, weighted_sum
from training.segmenter.sample import Stream
from training.segmenter.targets import Batch, make_batch

_MAX_GRADIENT_NORM = 10.0
"""Norm to which gradients are clipped: a sample of a rare kind must not undo what was learned."""
_RESTORE_BATCHES = 4  # batches on which an exported network's batch normalisation is measured


def build_segmenter(widths: Sequence[int]) -> Segmenter:
    """Return an untrained network with the maps of the pipeline's segmenter.

    Args:
        widths: channels at a half, a quarter, an eighth and a sixteenth of the resolution.
    """
    return Segmenter(AXIS_BINS, PROTOTYPES, HIDDEN_UNITS, len(DENSE_MAPS), widths)


def fit(
    stream: Stream,
    config: SegmenterConfig,
    folder: Path,
    log: Log,
    start: Path | None = None,
    *,
    batch_norm_stream: Stream | None = None,
) -> Segmenter:
    """Train the network, or continue from the last checkpoint in ``folder``.

    AdamW, one cycle of the learning rate, averaged weights. A step uses the same samples and random numbers whether or
    not the training was interrupted before it. ``folder`` gets ``checkpoint.pt`` and ``log.jsonl``.

    Args:
        stream: samples to learn from.
        config: configuration of the training.
        folder: folder of this training alone.
        log: receives lines of progress.
        start: checkpoint of an earlier training, whose averaged weights this one starts from, or its exported file.
            Dilated blocks that it lacks start as shortcuts.
        batch_norm_stream: samples on which batch normalisation is measured at the end; ``stream`` by default.

    Returns:
        The network with averaged weights, in evaluation mode.

    Raises:
        ValueError: ``start`` is of another network.
    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    network = build_segmenter(config.widths)
    if start is not None:
        _load_start(network, start, stream, config)
    first = {name: value.detach().clone() for name, value in network.named_parameters()} if start is not None else {}
    optimiser = Optimiser(
        network,
        steps=config.steps,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warmup_share=0.1,
        average_decay=lambda steps: _average_decay(config.averaging, steps),
        checkpoint=folder / "checkpoint.pt",
        max_gradient_norm=_MAX_GRADIENT_NORM,
    )
    done = optimiser.resume()
    if done:
        log(f"resuming after step {done} of {config.steps}")
    network.train()
    batches = prefetch(iterate_batches(stream, done, config))
    began, losses_log = time.monotonic(), LossLog(folder / "log.jsonl", config, log)
    for step in range(done, config.steps):
        losses = compute_losses(network, next(batches))
        optimiser.step(weighted_sum(losses, asdict(config.weights)))
        losses_log.add({name: float(value.detach()) for name, value in losses.items()})
        if (step + 1) % config.every == 0 or step + 1 == config.steps:
            losses_log.write(step + 1, config.batch * (step + 1 - done) / (time.monotonic() - began))
            optimiser.save(step + 1)
    trained: Segmenter = optimiser.averaged
    with torch.no_grad():
        for name, value in trained.named_parameters():
            value.lerp_(first.get(name, value), config.kept)
    measured = islice(iterate_batches(batch_norm_stream or stream, config.steps, config), config.settling)
    update_batch_norm(trained, (batch.stain for batch in measured), trained)
    trained.eval()
    return trained


def _load_start(network: Segmenter, start: Path, stream: Stream, config: SegmenterConfig) -> None:
    """Load the weights of a checkpoint or of an exported file."""
    if start.suffix == ".onnx":
        stain = torch.cat([batch.stain for batch in islice(iterate_batches(stream, 0, config), _RESTORE_BATCHES)])
        restore_weights(network, start, lambda: network(stain), within="segmenter")
        return
    initial, stored = network.state_dict(), read_averaged_weights(start)
    if any(name not in initial or initial[name].shape != value.shape for name, value in stored.items()):
        raise ValueError(
            f"{start} is no checkpoint of a segmenter of these widths: start from another file, or without one"
        )
    network.load_state_dict({**initial, **stored})


def iterate_batches(stream: Stream, step: int, config: SegmenterConfig) -> Iterator[Batch]:
    """Yield the batches from this step on, without end."""
    samples = stream(step * config.batch)
    while True:
        random = np.random.default_rng((config.seed, step))
        yield make_batch(list(islice(samples, config.batch)), random, config.masks)
        step += 1


def prefetch(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield the same batches; a thread makes the next one meanwhile."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, batches)
        while True:
            batch = coming.result()
            coming = thread.submit(next, batches)
            yield batch


class LossLog:
    """Mean losses since the last line, as JSON lines and as lines for people.

    Args:
        path: file of JSON lines.
        config: configuration with the number of steps and the weights of the losses.
        log: receives lines of progress.
    """

    def __init__(self, path: Path, config: SegmenterConfig, log: Log) -> None:
        self._path, self._config, self._log = path, config, log
        self._steps: list[dict[str, float]] = []

    def add(self, losses: dict[str, float]) -> None:
        """Collect the losses of one step."""
        self._steps.append(losses)

    def write(self, step: int, per_second: float) -> None:
        """Write a line on the steps since the last line.

        Args:
            step: number of completed steps.
            per_second: tiles per second since the training began.
        """
        weights = asdict(self._config.weights)
        mean = {name: round(float(np.mean([losses[name] for losses in self._steps])), 4) for name in LOSS_NAMES}
        total = round(sum(weights[name] * value for name, value in mean.items()), 4)
        append_json_line(self._path, {"step": step, "loss": total, **mean, "tiles_per_second": round(per_second, 2)})
        each = ", ".join(f"{name} {value:.3f}" for name, value in mean.items())
        self._log(f"step {step}/{self._config.steps}: loss {total:.3f} ({each}), {per_second:.2f} tiles/s")
        self._steps.clear()


def _average_decay(averaging: float, steps: float) -> float:
    """Return the decay of the average; it rises, so that short trainings forget their start."""
    return min(averaging, (1 + steps) / (10 + steps))
