"""Is what has no class told from what has one, and how many true chromosomes does that cost?

    python -m benchmarks.accuracy.no_chromosome RUNS/fold-0-... RUNS/fold-1-... [--prices 0 1 2 4 7] [--sharpness 0.7]

Each folder is what ``karyo train embedder`` leaves of a fold: ``held-out.npz`` and ``embedder.onnx``, beside the
reports as they were read. From the chromosomes held out are made merged pairs, markers of two halves, pieces and blots
of debris, as training makes them. Prints how well the network's probability that it is no chromosome tells each kind
from the chromosomes held out, and, by what the assignment charges for fitting nothing, what becomes of each kind, and
of the true chromosomes, when one of each comes to a cell that lacks two chromosomes of its own.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from scipy.stats import rankdata

from benchmarks.accuracy.aneuploidy import Cell, assigned, print_head, print_row, read
from karyotyping.classification import embedder
from karyotyping.classification.assignment import CopyNumberPrior
from karyotyping.classification.prediction import Prediction
from models.engine import Engine, Placement, load_engine
from training.embedder import negatives
from training.embedder.data import Chromosomes, cache_path, load_chromosomes

KINDS = {
    "merged pair": negatives.merged_pair,
    "marker": negatives.marker,
    "piece": negatives.piece,
    "debris": negatives.debris,
}
PRICES = (-2.0, 0.0, 1.0, 2.0, 4.0, 7.0)
MADE, CELLS = 300, 40
"""Of each kind, and cells, at most, from each report of each fold."""


def made(chromosomes: Chromosomes, engine: Engine, seed: int) -> dict[str, list[Prediction]]:
    """What the network says of each kind made of ``chromosomes``."""
    chosen = np.random.default_rng(seed).permutation(len(chromosomes))[:MADE]
    seen = torch.from_numpy(chromosomes[chosen].visible)
    random = torch.Generator().manual_seed(seed)
    said = {}
    for kind, way in KINDS.items():
        other = seen[torch.randperm(len(seen), generator=random)]
        spoiled = torch.stack([way(*pair, random) for pair in zip(seen, other, strict=True)])
        said[kind] = list(embedder.predict(spoiled[:, 0].numpy(), engine))
    return said


def told_apart(negative: NDArray[np.float64], positive: NDArray[np.float64]) -> float:
    """Area under the receiver operating characteristic."""
    n = len(negative)
    ranks = rankdata(np.concatenate([negative, positive]))[:n].sum()
    return float((ranks - n * (n + 1) / 2) / (n * len(positive)))


def soiled(cell: Cell, said: dict[str, list[Prediction]], sharpness: float, random: np.random.Generator) -> Cell:
    """``cell`` without two of its chromosomes, with one of each kind at its end; their class index is -1."""
    strangers = [one[random.integers(len(one))] for one in said.values()]
    rest = cell.only(random.permutation(len(cell.true))[2:])
    evidence = log_softmax(sharpness * np.stack([one.log_probabilities for one in strangers]), axis=1)
    return replace(
        rest,
        evidence=np.vstack([rest.evidence, evidence]),
        whole=np.append(rest.whole, [1 - one.unknown for one in strangers]),
        true=np.append(rest.true, np.full(len(strangers), -1)),
    )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folds", type=Path, nargs="+")
    parser.add_argument("--prices", type=float, nargs="+", default=PRICES, help="of fitting nothing, nats")
    parser.add_argument("--sharpness", type=float, default=1.0, help="by which the log-probabilities are multiplied")
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
            said = made(chromosomes[np.isin(chromosomes.name, held_out["name"][here])], engine, number)
            unknown[report, ""] += held_out["unknown"][here].tolist()
            for kind, ones in said.items():
                unknown[report, kind] += [one.unknown for one in ones]
            random = np.random.default_rng(number)
            clean = [cell for cell in everything if cell.report == report][:CELLS]
            cells[report] += [(cell, soiled(cell, said, arguments.sharpness, random)) for cell in clean]
    print("AUROC of the probability that it is no chromosome, against the chromosomes held out")
    print_head("report", *KINDS)
    for report in cells:
        true = np.array(unknown[report, ""])
        print_row(report, *(f"{told_apart(np.array(unknown[report, kind]), true):.4f}" for kind in KINDS))
    for report, pairs in cells.items():
        n = sum(len(cell.true) for cell, _ in pairs)
        print(f"\n{report}, {len(pairs)} cells: share that fits nothing, by its price; true chromosomes named right")
        print_head("price", "true, clean cell", "true, soiled cell", *KINDS, "right, soiled cell")
        for price in arguments.prices:
            prior = CopyNumberPrior(no_class=price)
            lost = sum(int((assigned(cell, prior) < 0).sum()) for cell, _ in pairs)
            answers = [(assigned(cell, prior), cell.true) for _, cell in pairs]
            real = np.concatenate([said[true >= 0] for said, true in answers])
            right = np.concatenate([(said == true)[true >= 0] for said, true in answers])
            caught = np.mean([said[-len(KINDS) :] < 0 for said, _ in answers], axis=0)
            shares = (lost / n, (real < 0).mean(), *caught, right.mean())
            print_row(price, *(f"{share:.2%}" for share in shares))


if __name__ == "__main__":
    main()
