"""One router for models 1 to 3 of KaryoXpert against a network for each.

    python -m benchmarks.accuracy.router_backbones [--config TOML] [--out runs/router-backbones]

Measures accuracy on held-out regions, with the same regions, epochs and architecture. The shipped router has one
backbone and five routes; sums of their probabilities decide each of the paper's three questions. Each other network is
trained on the regions of one question. It needs the extra `train`, the reports in $KARYO_TEST_DATA, and 15 minutes on a
core.

Output: a Markdown table with accuracy and recalls by question.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from karyotyping.arrays import Bools, Ints
from karyotyping.segmentation.router import ROUTES
from training.common.data_folder import available_reports
from training.configs.router import read_router_config
from training.router.data import Samples, make_samples
from training.router.train import fit, predict

QUESTIONS = {
    "1: pure, or with noise": (("single", "cluster", "part"), ("chromosome_with_noise", "noise")),
    "2: single, or a cluster": (("single",), ("cluster",)),
    "3: chromosome with noise, or noise": (("chromosome_with_noise",), ("noise",)),
}


def select_regions(samples: Samples, answers: list[list[int]]) -> tuple[Bools, Samples]:
    """Return (N,) the regions of a question, and these with their answer, 0 or 1, as route."""
    chosen = np.isin(samples.route, np.concatenate(answers))
    route = np.isin(samples.route, answers[1]).astype(np.int64)[chosen]
    return chosen, Samples(samples.appearance[chosen], samples.geometry[chosen], route)


def accuracy_and_recalls(predicted: Bools, true: Ints) -> str:
    """Return accuracy, and the recall of both answers."""
    shares = [np.mean(predicted == true), *(np.mean(predicted[true == answer] == answer) for answer in (0, 1))]
    return " / ".join(f"{share:.1%}" for share in shares)


def main() -> None:
    """Train the four networks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, help="default: the shipped router.toml")
    parser.add_argument("--out", type=Path, default=Path("runs/router-backbones"))
    arguments = parser.parse_args()
    config = read_router_config(arguments.config)
    reports = available_reports(config.reports)
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    training, held_out_samples = (
        make_samples(reports, config.from_reports, fields, seed=config.seed, held_out=held_out)
        for fields, held_out in ((config.fields, False), (config.held_out, True))
    )
    shared = predict(fit(training, config, arguments.out / "shared.pt", print), held_out_samples)
    print("\n| question | regions | shared: accuracy / recalls | its own network |\n| --- | --- | --- | --- |")
    for name, answers in QUESTIONS.items():
        numbers = [[ROUTES.index(route) for route in answer] for answer in answers]
        chosen, samples = select_regions(held_out_samples, numbers)
        first, second = (shared[chosen][:, answer].sum(axis=1) for answer in numbers)
        _, own_training = select_regions(training, numbers)
        own = predict(fit(own_training, config, arguments.out / f"{name[0]}.pt", lambda _: None, routes=2), samples)
        columns = [accuracy_and_recalls(yes, samples.route) for yes in (second > first, own[:, 1] > own[:, 0])]
        print(f"| {name} | {len(samples.route)} | {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
