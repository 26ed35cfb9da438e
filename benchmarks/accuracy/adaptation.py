"""Class accuracy of a network before and after adaptation to a laboratory without labels.

    python -m benchmarks.accuracy.adaptation FOLDER ... [--report NAME] [--cells N] [--same] [--config TOML] [--out DIR]

Each FOLDER is one of ``karyo train embedder --without REPORT`` or ``--fold K``. Its network adapts to every second cell
that it held out, to at most ``N`` with ``--cells``. Both networks are measured on the other cells. With ``--same`` the
network adapts to all held-out cells, and both are measured on these. The reports are in $KARYO_TEST_DATA.

Output: the files of all predictions, and a Markdown table.
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
    """Yield the chromosomes that the network of ``folder`` was not trained on, by report."""
    with np.load(folder / HELD_OUT) as stored:
        report, names = stored["report"], stored["name"]
    for name in np.unique(report).tolist():
        if only in (None, name):
            every = read_report(Path(os.environ["KARYO_TEST_DATA"]) / f"{name}.zip", cache)
            yield every[np.isin(every.name, names[report == name])]


def split_cells(chromosomes: Chromosomes, cells: int | None, same: bool) -> tuple[Chromosomes, Chromosomes]:
    """Return the chromosomes to adapt to, and those to measure on."""
    names = np.unique(chromosomes.cell)
    adapted_to, measured = (names, names) if same else (names[::2], names[1::2])
    return chromosomes[np.isin(chromosomes.cell, adapted_to[:cells])], chromosomes[np.isin(chromosomes.cell, measured)]


def row(name: str, when: str, right: Counter[str], total: Counter[str]) -> str:
    """Return a row of the table."""
    shares = (f"{right[figure] / total[figure]:.2%}" if total[figure] else "" for figure in FIGURES)
    return f"| {name} | {when} | {total['isolated']} | " + " | ".join(shares) + " |"


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
    total: dict[tuple[str, str], Counter[str]] = {}
    for folder in arguments.folders:
        for chromosomes in held_out(folder, arguments.out, arguments.report):
            adapted_to, measured = split_cells(chromosomes, arguments.cells, arguments.same)
            report = str(chromosomes.report[0])
            before = folder / "embedder.onnx"
            after = adapt_to(adapted_to, config, arguments.out, print, before)
            for when, weights in (("before", before), ("after", after)):
                predictions = after.parent / when
                predictions.mkdir(exist_ok=True)
                found = measure_held_out(weights, measured, predictions)[report]
                print(f"{report}, {when}: every prediction in {predictions / HELD_OUT}")
                for figure in FIGURES:
                    if figure in found:
                        count = int(measured.upright.sum()) if figure == "polarity" else len(measured)
                        total.setdefault((report, when), Counter())[figure] += count
                        right.setdefault((report, when), Counter())[figure] += round(count * found[figure])
    print("| report | | chromosomes | isolated | top 5 | assigned | p arm up |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for (report, when), counted in right.items():
        print(row(report, when, counted, total[report, when]))


if __name__ == "__main__":
    main()
