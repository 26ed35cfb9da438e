"""How much better a network becomes at a laboratory's chromosomes by adapting to them; their classes it is not shown.

    python -m benchmarks.accuracy.adaptation FOLDER ... [--report NAME] [--cells N] [--same] [--config TOML] [--out DIR]

Each FOLDER was made by ``karyo train embedder --without REPORT`` or ``--fold K``. Its network adapts to every second
cell of those that it held out (to ``N`` of them with ``--cells``), and both are measured on the others; with ``--same``
it adapts to all of them, on which both are measured then. The reports lie in $KARYO_TEST_DATA. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.configs.embedder import read_adaptation_config
from training.embedder.data import Chromosomes, read_report
from training.embedder.self_training import adapt_to
from training.embedder.validate import HELD_OUT, measure_held_out

FIGURES = ("isolated", "isolated_top5", "assigned", "polarity")


def held_out(folder: Path, cache: Path, only: str | None) -> Iterator[Chromosomes]:
    """What the network in ``folder`` was not trained on, report by report."""
    with np.load(folder / HELD_OUT) as stored:
        report, names = stored["report"], stored["name"]
    for name in np.unique(report).tolist():
        if only in (None, name):
            every = read_report(Path(os.environ["KARYO_TEST_DATA"]) / f"{name}.zip", cache)
            yield every[np.isin(every.name, names[report == name])]


def parted(chromosomes: Chromosomes, cells: int | None, same: bool) -> tuple[Chromosomes, Chromosomes]:
    """What to adapt to, and what to measure on: cells that share none, or the same."""
    names = np.unique(chromosomes.cell)
    learnt, measured = (names, names) if same else (names[::2], names[1::2])
    return chromosomes[np.isin(chromosomes.cell, learnt[:cells])], chromosomes[np.isin(chromosomes.cell, measured)]


def row(name: str, when: str, right: Counter[str], there: Counter[str]) -> str:
    """A line of the table."""
    shares = (f"{right[figure] / there[figure]:.2%}" if there[figure] else "" for figure in FIGURES)
    return f"| {name} | {when} | {there['isolated']} | " + " | ".join(shares) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--report")
    parser.add_argument("--cells", type=int)
    parser.add_argument("--same", action="store_true")
    parser.add_argument("--config", type=Path, help="default: the shipped adaptation.toml")
    parser.add_argument("--out", type=Path, default=Path("runs/adaptation"))
    arguments = parser.parse_args()
    config = read_adaptation_config(arguments.config)
    arguments.out.mkdir(parents=True, exist_ok=True)
    right: dict[tuple[str, str], Counter[str]] = {}
    there: dict[tuple[str, str], Counter[str]] = {}
    for folder in arguments.folders:
        for chromosomes in held_out(folder, arguments.out, arguments.report):
            learnt, measured = parted(chromosomes, arguments.cells, arguments.same)
            report = str(chromosomes.report[0])
            before = folder / "embedder.onnx"
            after = adapt_to(learnt, config, arguments.out, print, before)
            for when, weights in (("before", before), ("after", after)):
                answers = after.parent / when
                answers.mkdir(exist_ok=True)
                found = measure_held_out(weights, measured, answers)[report]
                print(f"{report}, {when}: every answer in {answers / HELD_OUT}")
                for figure in FIGURES:
                    if figure in found:
                        count = int(measured.upright.sum()) if figure == "polarity" else len(measured)
                        there.setdefault((report, when), Counter())[figure] += count
                        right.setdefault((report, when), Counter())[figure] += round(count * found[figure])
    print("| report | | chromosomes | isolated | among the best five | assigned | p arm up |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for (report, when), counted in right.items():
        print(row(report, when, counted, there[report, when]))


if __name__ == "__main__":
    main()
