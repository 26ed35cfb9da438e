"""One network for models 1 to 3 of KaryoXpert against three: the same regions, epochs and architecture.

    python -m benchmarks.accuracy.router_backbones [--config TOML] [--out runs/router-backbones]

Prints a Markdown table. The router that karyoflow ships has one backbone and five answers; each of the paper's three
decisions is read off it by adding probabilities up. The others learn from the regions of their decision alone. Needs
the extra `train`; reports lie in the folder that $KARYO_TEST_DATA names. Fifteen minutes on a core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from karyotyping.segmentation.router import ROUTES
from training.common.data_folder import available_reports
from training.configs.router import read_router_config
from training.router.data import Samples, make_samples
from training.router.train import fit, predict

DECISIONS = {
    "1: pure, or with noise": (("single", "cluster", "part"), ("chromosome_with_noise", "noise")),
    "2: single, or a cluster": (("single",), ("cluster",)),
    "3: chromosome with noise, or noise": (("chromosome_with_noise",), ("noise",)),
}


def of_decision(samples: Samples, sides: list[list[int]]) -> tuple[NDArray[np.bool_], Samples]:
    """Which regions a decision is about, and those with 0 or 1 for its side."""
    about = np.isin(samples.route, np.concatenate(sides))
    route = np.isin(samples.route, sides[1]).astype(np.int64)[about]
    return about, Samples(samples.appearance[about], samples.geometry[about], route)


def right(said: NDArray[np.bool_], true: NDArray[np.int64]) -> str:
    """Accuracy, and the recall of both sides."""
    shares = [np.mean(said == true), *(np.mean(said[true == side] == side) for side in (0, 1))]
    return " / ".join(f"{share:.1%}" for share in shares)


def main() -> None:
    """Train the four and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, help="default: the shipped router.toml")
    parser.add_argument("--out", type=Path, default=Path("runs/router-backbones"))
    arguments = parser.parse_args()
    config = read_router_config(arguments.config)
    reports = available_reports(config.reports)
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    seen, unseen = (
        make_samples(reports, config.from_reports, fields, seed=config.seed, held_out=held_out)
        for fields, held_out in ((config.fields, False), (config.held_out, True))
    )
    shared = predict(fit(seen, config, arguments.out / "shared.pt", print), unseen)
    print("\n| decision | regions | shared: accuracy / recalls | its own network |\n| --- | --- | --- | --- |")
    for name, sides in DECISIONS.items():
        numbers = [[ROUTES.index(route) for route in side] for side in sides]
        about, asked = of_decision(unseen, numbers)
        first, second = (shared[about][:, side].sum(axis=1) for side in numbers)
        _, learned = of_decision(seen, numbers)
        own = predict(fit(learned, config, arguments.out / f"{name[0]}.pt", lambda _: None, routes=2), asked)
        columns = right(second > first, asked.route), right(own[:, 1] > own[:, 0], asked.route)
        print(f"| {name} | {len(asked.route)} | {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
