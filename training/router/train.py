"""Training and export of the contour router: ``karyo train router``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from karyotyping.segmentation.router import GEOMETRY, ROUTES
from models.networks.router import Probabilities, Router
from models.registry import digest
from training.common.checkpoint import Checkpoint
from training.common.data_folder import available_reports
from training.common.onnx_export import export_onnx
from training.common.progress import Log
from training.configs.router import RouterConfig, read_router_config
from training.router.card import write_router_card
from training.router.data import Samples, make_samples
from training.router.metrics import measure

_VERIFIED_REGIONS = 300
"""Regions on which the exported file must compute what the network does."""


def train(config: Path | None, out: Path, log: Log = print) -> Path:
    """Simulate regions, train, validate, and export ``router.onnx`` with its card.

    An interrupted training continues after its last completed epoch. It uses one thread, so that a seed gives the same
    weights on the same machine.

    Args:
        config: TOML file; None for ``training/configs/router.toml``. Reports that are not in ``KARYO_TEST_DATA`` are
            skipped, and the card says so.
        out: folder of samples, checkpoint and result.
        log: receives lines of progress.

    Returns:
        The exported file.

    Raises:
        ValueError: the configuration is not valid.
        training.common.onnx_export.ExportMismatch: the exported file differs from the network.
    """
    settings = read_router_config(config)
    reports = available_reports(settings.reports)
    found = [report.name for report in reports]
    run = digest({**asdict(settings), "found": found, "routes": ROUTES, "geometry": GEOMETRY})[:12]
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    def samples(fields: int, held_out: bool) -> Samples:
        part = "held-out" if held_out else "training"
        path = out / f"{part}-{run}.npz"
        if not path.is_file():
            log(f"simulating {fields} {part} metaphases")
            made = make_samples(reports, settings.from_reports, fields, seed=settings.seed, held_out=held_out)
            np.savez(path, appearance=made.appearance, geometry=made.geometry, route=made.route)
        with np.load(path) as stored:
            return Samples(stored["appearance"], stored["geometry"], stored["route"])

    training, validation = samples(settings.fields, held_out=False), samples(settings.held_out, held_out=True)
    network = fit(training, settings, out / f"checkpoint-{run}.pt", log)
    metrics = measure(predict(network, validation), validation.route)
    log(f"held out: {json.dumps(metrics)}")
    examples = {
        "appearance": validation.appearance[:_VERIFIED_REGIONS].astype(np.float32),
        "geometry": validation.geometry[:_VERIFIED_REGIONS],
    }
    weights = export_onnx(Probabilities(network), out / "router.onnx", examples, ["probabilities"])
    write_router_card(weights, settings, found, metrics, len(training.route))
    return weights


def fit(samples: Samples, config: RouterConfig, checkpoint: Path, log: Log, *, routes: int = len(ROUTES)) -> Router:
    """Train a router, or continue from its checkpoint.

    AdamW with one cycle of the learning rate. Rare routes have larger weights in the loss.

    Args:
        samples: regions to train on.
        config: configuration of the training.
        checkpoint: file to write to and to resume from.
        log: receives lines of progress.
        routes: number of classes in ``samples.route``.

    Returns:
        The network in evaluation mode.
    """
    torch.manual_seed(config.seed)
    network = Router(len(GEOMETRY), routes)
    appearance, geometry, route = _tensors(samples)
    batches = max(1, len(route) // config.batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=batches * config.epochs + 1
    )
    frequency = torch.bincount(route, minlength=routes).clamp(min=1).float()
    loss_of = nn.CrossEntropyLoss(weight=(frequency.mean() / frequency).sqrt(), label_smoothing=0.02)
    state = Checkpoint(checkpoint, {"network": network, "optimiser": optimiser, "schedule": schedule}, "epoch")
    start = state.resume()
    if start:
        log(f"resuming after epoch {start}")
    for epoch in range(start, config.epochs):
        random = torch.Generator().manual_seed(config.seed * 1000 + epoch)
        torch.manual_seed(config.seed * 1000 + epoch)  # for the dropout, which takes no generator
        network.train()
        total = 0.0
        for chosen in torch.randperm(len(route), generator=random)[: batches * config.batch].chunk(batches):
            optimiser.zero_grad()
            loss = loss_of(network(augment(appearance[chosen], random), geometry[chosen]), route[chosen])
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        log(f"epoch {epoch + 1}/{config.epochs}: loss {total / batches:.4f}")
        state.save(epoch + 1)
    trained: Router = network.eval()
    return trained


def augment(appearance: Tensor, random: torch.Generator) -> Tensor:
    """Apply one of the eight symmetries of the square, and another exposure to each stain.

    Args:
        appearance: (N, 2, SIDE, SIDE) stain and mask.
        random: source of randomness.

    Returns:
        (N, 2, SIDE, SIDE) float32; masks keep their values.
    """
    turns, mirrored = torch.randint(4, (2,), generator=random).tolist()
    result = torch.rot90(appearance.float(), turns, (2, 3))
    result = result.flip(3) if mirrored % 2 else result
    gain = 1 + 0.2 * (2 * torch.rand((len(result), 1, 1, 1), generator=random) - 1)
    return torch.cat([result[:, :1] * gain, result[:, 1:]], dim=1)


def predict(network: Router, samples: Samples) -> NDArray[np.float32]:
    """Return the probabilities (N, routes) that the exported network gives."""
    appearance, geometry, _ = _tensors(samples)
    rows = range(0, len(geometry), 512)
    exported = Probabilities(network).eval()
    with torch.no_grad():
        parts = [exported(appearance[i : i + 512].float(), geometry[i : i + 512]) for i in rows]
    probabilities: NDArray[np.float32] = torch.cat(parts).numpy()
    return probabilities


def _tensors(samples: Samples) -> tuple[Tensor, Tensor, Tensor]:
    return torch.from_numpy(samples.appearance), torch.from_numpy(samples.geometry), torch.from_numpy(samples.route)
