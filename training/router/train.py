"""Train the contour router and export it: ``karyo train router``, or ``python -m training.router.train CONFIG OUT``."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from karyotyping.segmentation.router import GEOMETRY, ROUTES
from models.networks.router import Probabilities, Router
from models.registry import digest
from training.common.onnx_export import export_onnx
from training.router.card import write_router_card
from training.router.data import Samples, make_samples


def train(config: Path, out: Path, say: Callable[[str], None] = print) -> Path:
    """Make the data, train, measure on held-out fields, export ``router.onnx`` and its card into ``out``.

    Interrupted, it goes on after the last epoch that it finished. One thread, so that a seed gives the same weights on
    the same machine.

    Args:
        config: TOML like ``training/configs/router.toml``; its ``reports`` lie in the folder that ``KARYO_TEST_DATA``
            names. Those that are not there are left out, and the card says so.
        out: folder for samples, checkpoint and result.
        say: told of each step.

    Raises:
        training.common.onnx_export.ExportDiffers: the exported file disagrees with the network.
    """
    settings = tomllib.loads(config.read_text("utf-8"))
    folder = Path(os.environ.get("KARYO_TEST_DATA", "."))
    reports = [folder / name for name in settings["reports"] if (folder / name).is_file()]
    run = digest({**settings, "found": [report.name for report in reports], "routes": ROUTES, "geometry": GEOMETRY})
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    def samples(fields: int, held_out: bool) -> Samples:
        path = out / f"{'held-out' if held_out else 'training'}-{run[:12]}.npz"
        if not path.is_file():
            say(f"simulating {fields} {'held-out' if held_out else 'training'} fields")
            made = make_samples(reports, settings["from_reports"], fields, seed=settings["seed"], held_out=held_out)
            np.savez(path, appearance=made.appearance, geometry=made.geometry, route=made.route)
        with np.load(path) as stored:
            return Samples(stored["appearance"], stored["geometry"], stored["route"])

    seen, unseen = samples(settings["fields"], held_out=False), samples(settings["held_out"], held_out=True)
    network = fit(seen, settings, out / f"checkpoint-{run[:12]}.pt", say)
    measured = measure(predict(network, unseen), unseen.route)
    say(f"held out: {json.dumps(measured)}")
    few = {"appearance": unseen.appearance[:300].astype(np.float32), "geometry": unseen.geometry[:300]}
    weights = export_onnx(Probabilities(network), out / "router.onnx", few, ["probabilities"])
    write_router_card(weights, settings, [report.name for report in reports], measured, len(seen.route))
    return weights


def fit(
    samples: Samples,
    settings: dict[str, Any],
    checkpoint: Path,
    say: Callable[[str], None],
    *,
    answers: int = len(ROUTES),
) -> Router:
    """Train, or go on, for ``settings["epochs"]``: AdamW, one cycle of learning rate; rare answers weigh more."""
    torch.manual_seed(settings["seed"])
    network = Router(len(GEOMETRY), answers)
    appearance, geometry, route = _tensors(samples)
    batches = max(1, len(route) // settings["batch"])
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings["learning_rate"], weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings["learning_rate"], total_steps=batches * settings["epochs"] + 1
    )
    frequency = torch.bincount(route, minlength=answers).clamp(min=1).float()
    loss_of = nn.CrossEntropyLoss(weight=(frequency.mean() / frequency).sqrt(), label_smoothing=0.02)
    parts: dict[str, Any] = {"network": network, "optimiser": optimiser, "schedule": schedule}
    start = 0
    if checkpoint.is_file():
        stored = torch.load(checkpoint, weights_only=True)
        start = stored["epoch"]
        for name, part in parts.items():
            part.load_state_dict(stored[name])
        say(f"resuming after epoch {start}")
    for epoch in range(start, settings["epochs"]):
        random = torch.Generator().manual_seed(settings["seed"] * 1000 + epoch)
        torch.manual_seed(settings["seed"] * 1000 + epoch)  # for the dropout, which takes no generator
        network.train()
        total = 0.0
        for chosen in torch.randperm(len(route), generator=random)[: batches * settings["batch"]].chunk(batches):
            optimiser.zero_grad()
            loss = loss_of(network(augment(appearance[chosen], random), geometry[chosen]), route[chosen])
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        say(f"epoch {epoch + 1}/{settings['epochs']}: loss {total / batches:.4f}")
        partial = checkpoint.with_suffix(".partial")
        torch.save({"epoch": epoch + 1} | {name: part.state_dict() for name, part in parts.items()}, partial)
        partial.replace(checkpoint)
    trained: Router = network.eval()
    return trained


def augment(appearance: Tensor, random: torch.Generator) -> Tensor:
    """One of the eight symmetries of the square and another exposure: the stain stands alone in its plane."""
    turns, mirrored = torch.randint(4, (2,), generator=random).tolist()
    result = torch.rot90(appearance.float(), turns, (2, 3))
    result = result.flip(3) if mirrored % 2 else result
    gain = 1 + 0.2 * (2 * torch.rand((len(result), 1, 1, 1), generator=random) - 1)
    return torch.cat([result[:, :1] * gain, result[:, 1:]], dim=1)


def predict(network: Router, samples: Samples) -> NDArray[np.float32]:
    """Probabilities (N, routes) as the exported network gives them."""
    appearance, geometry, _ = _tensors(samples)
    rows = range(0, len(geometry), 512)
    exported = Probabilities(network).eval()
    with torch.no_grad():
        parts = [exported(appearance[i : i + 512].float(), geometry[i : i + 512]) for i in rows]
    probabilities: NDArray[np.float32] = torch.cat(parts).numpy()
    return probabilities


def measure(probabilities: NDArray[np.float32], route: NDArray[np.int64]) -> dict[str, Any]:
    """Accuracy, mean recall over routes, and precision and recall of each."""
    said = probabilities.argmax(axis=1)
    table = np.zeros((len(ROUTES), len(ROUTES)), int)
    np.add.at(table, (route, said), 1)
    right = table.diagonal()
    recall, precision = right / np.maximum(table.sum(axis=1), 1), right / np.maximum(table.sum(axis=0), 1)
    return {
        "regions": len(route),
        "accuracy": round(float(right.sum() / len(route)), 4),
        "mean_recall": round(float(recall[table.sum(axis=1) > 0].mean()), 4),
        "recall": {name: round(float(value), 4) for name, value in zip(ROUTES, recall, strict=True)},
        "precision": {name: round(float(value), 4) for name, value in zip(ROUTES, precision, strict=True)},
        "confusion": table.tolist(),
    }


def _tensors(samples: Samples) -> tuple[Tensor, Tensor, Tensor]:
    return torch.from_numpy(samples.appearance), torch.from_numpy(samples.geometry), torch.from_numpy(samples.route)


if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]))
