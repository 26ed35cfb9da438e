"""Recognition of objects that are no whole chromosome, and its cost in true chromosomes.

    python -m benchmarks.accuracy.no_chromosome RUNS/fold-0-... RUNS/fold-1-... [--prices 0 1 2 4 7] [--sharpness 0.7]

Each folder is one of ``karyo train embedder --fold K``, with ``held-out.npz`` and ``embedder.onnx``; the cached reports
are in its parent. Merged pairs, markers of two halves, pieces and debris are made from the held-out chromosomes, as in
training. One of each is added to a cell, and two of the cell's chromosomes are removed.

Output: Markdown tables. The first has the AUROC of the network's ``unknown`` probability by kind. The others, one for
each report, have the share that assignment gives no class, by kind and by the price of no class.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.special import log_softmax

from benchmarks.accuracy.aneuploidy import Cell, assign_cell, read
from benchmarks.figures import print_header, print_row
from karyotyping.classification import embedder
from karyotyping.classification.assignment import CopyNumberPrior
from karyotyping.classification.prediction import Prediction
from models.engine import Engine, Placement, load_engine
from training.embedder import negatives
from training.embedder.data import Chromosomes, cache_path, load_chromosomes
from training.evaluation.classification.calibration import auroc

KINDS = {
    "merged pair": negatives.merged_pair,
    "marker": negatives.marker,
    "piece": negatives.piece,
    "debris": negatives.debris,
}
PRICES = (-2.0, 0.0, 1.0, 2.0, 4.0, 7.0)  # nats
MAX_NEGATIVES = 300  # of each kind, per report and fold
MAX_CELLS = 40  # per report and fold


def predict_negatives(chromosomes: Chromosomes, engine: Engine, seed: int) -> dict[str, list[Prediction]]:
    """Make negatives of each kind from ``chromosomes``, and return their predictions."""
    chosen = np.random.default_rng(seed).permutation(len(chromosomes))[:MAX_NEGATIVES]
    images = torch.from_numpy(chromosomes[chosen].visible)
    random = torch.Generator().manual_seed(seed)
    predictions = {}
    for kind, make in KINDS.items():
        other = images[torch.randperm(len(images), generator=random)]
        made = torch.stack([make(*pair, random) for pair in zip(images, other, strict=True)])
        predictions[kind] = list(embedder.predict(made[:, 0].numpy(), engine))
    return predictions


def contaminate(
    cell: Cell, predictions: dict[str, list[Prediction]], sharpness: float, random: np.random.Generator
) -> Cell:
    """Replace two chromosomes of ``cell`` by one negative of each kind, class index -1."""
    added = [one[random.integers(len(one))] for one in predictions.values()]
    rest = cell.only(random.permutation(len(cell.true))[2:])
    evidence = log_softmax(sharpness * np.stack([one.log_probabilities for one in added]), axis=1)
    return replace(
        rest,
        evidence=np.vstack([rest.evidence, evidence]),
        whole=np.append(rest.whole, [1 - one.unknown for one in added]),
        true=np.append(rest.true, np.full(len(added), -1)),
    )


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folds", type=Path, nargs="+")
    parser.add_argument("--prices", type=float, nargs="+", default=PRICES, help="of no class, nats")
    parser.add_argument("--sharpness", type=float, default=1.0, help="factor of the log-probabilities")
    arguments = parser.parse_args()
    unknown: dict[tuple[str, str], list[float]] = defaultdict(list)
    cells: dict[str, list[tuple[Cell, Cell]]] = defaultdict(list)
    for number, fold in enumerate(arguments.folds):
        engine = load_engine(fold / "embedder.onnx", "cpu", Placement(threads=1))
        everything = read([fold / "held-out.npz"], arguments.sharpness)
        with np.load(fold / "held-out.npz") as stored:
            held_out = {key: stored[key] for key in ("report", "name", "unknown")}
        for report in np.unique(held_out["report"]).tolist():
            here = held_out["report"] == report
            chromosomes = load_chromosomes(cache_path(fold.parent, report))
            predictions = predict_negatives(
                chromosomes[np.isin(chromosomes.name, held_out["name"][here])], engine, number
            )
            unknown[report, ""] += held_out["unknown"][here].tolist()
            for kind, ones in predictions.items():
                unknown[report, kind] += [one.unknown for one in ones]
            random = np.random.default_rng(number)
            clean = [cell for cell in everything if cell.report == report][:MAX_CELLS]
            cells[report] += [(cell, contaminate(cell, predictions, arguments.sharpness, random)) for cell in clean]
    print("AUROC of the probability that it is no chromosome, against the held-out chromosomes")
    print_header("report", *KINDS)
    for report in cells:
        true = np.array(unknown[report, ""])
        print_row(report, *(f"{auroc(np.array(unknown[report, kind]), true):.4f}" for kind in KINDS))
    for report, pairs in cells.items():
        print_assignments(report, pairs, arguments.prices)


def print_assignments(report: str, pairs: list[tuple[Cell, Cell]], prices: list[float]) -> None:
    """Print the share without a class, by price, in clean cells and in contaminated ones."""
    total = sum(len(cell.true) for cell, _ in pairs)
    print(f"\n{report}, {len(pairs)} cells: share without a class, and true chromosomes with the right class")
    print_header("price", "true, clean cell", "true, contaminated cell", *KINDS, "right, contaminated cell")
    for price in prices:
        prior = CopyNumberPrior(no_class=price)
        lost = sum(int((assign_cell(cell, prior) < 0).sum()) for cell, _ in pairs)
        assigned = [(assign_cell(cell, prior), cell.true) for _, cell in pairs]
        real = np.concatenate([predicted[true >= 0] for predicted, true in assigned])
        right = np.concatenate([(predicted == true)[true >= 0] for predicted, true in assigned])
        caught = np.mean([predicted[-len(KINDS) :] < 0 for predicted, _ in assigned], axis=0)
        shares = (lost / total, (real < 0).mean(), *caught, right.mean())
        print_row(price, *(f"{share:.2%}" for share in shares))


if __name__ == "__main__":
    main()
