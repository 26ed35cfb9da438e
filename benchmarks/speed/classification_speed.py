"""Chromosomes classified per second, compared with ResNet-50 on the same runtime.

    python -m benchmarks.speed.classification_speed [--embedder ONNX] [--report ZIP] [--rounds 9] [--threads N]

One round runs each contender once on a cell of 46 chromosomes, with the same threads, so that other load on the
machine affects all of them; ratios are those of one round. The contenders are:

* "network, one pass": the embedder once, half of what classification needs;
* "network, both ways up": the embedder on both orientations;
* "whole way": from the pixels of crops to assigned classes, with cells of ``ZIP`` (default: the G-band report of
  $KARYO_TEST_DATA); without it this row is left out;
* "ResNet-50": one orientation at 224 x 224, without the cost of its input.

Output: Markdown tables with speed, CPU time, size, and the peak memory of a separate process with its libraries.
"""

from __future__ import annotations

import argparse
import csv
import io
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import data_folder, peak_mib, print_header, print_row, spread
from karyotyping.chromosome.crop import measure_crops, segment_crop
from karyotyping.classification.assignment import assign
from karyotyping.classification.embedder import COLUMNS, EMBEDDER, ROWS, appearance, cell_scale, predict
from karyotyping.nomenclature.classes import CLASS_NAMES, NORMAL_COUNT
from models.engine import Engine, Placement, load_engine
from models.registry import resolve

REPORTS = 100  # of 46 chromosomes, in the table's third column
NETWORK, BOTH_WAYS, WHOLE_WAY, RESNET = "network, one pass", "network, both ways up", "whole way", "ResNet-50"
BASELINE = "libraries alone"
TABLE = ("", "chromosomes/s", "times ResNet-50", "s per 100 reports of 46", "CPU ms each", "file, MB", "peak MiB")

Crops = list[NDArray[np.uint8]]
Contender = Callable[[int], object]
"""A function that classifies the chromosomes of one cell, given the number of the round."""


def cells(report: Path, count: int) -> list[Crops]:
    """Return the crops of ``count`` cells of 46, evenly from a report."""
    with zipfile.ZipFile(report) as archive:
        by_cell: dict[str, list[str]] = defaultdict(list)
        for row in csv.DictReader(io.TextIOWrapper(archive.open("index.csv"), "utf-8")):
            by_cell[row["cell"]].append(row["file"])
        whole = [files for files in by_cell.values() if len(files) == NORMAL_COUNT]
        chosen = whole[:: max(1, len(whole) // count)][:count]
        return [[_decode(archive.read(name)) for name in files] for files in chosen]


def _decode(encoded: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)


def whole_way(crops: Crops, embedder: Engine) -> dict[str, float]:
    """Classify a cell from its pixels, and return the seconds by stage."""
    clock = [time.perf_counter()]

    def lap() -> None:
        clock.append(time.perf_counter())

    segmented = [segment_crop(pixels) for pixels in crops]
    lap()
    measured = measure_crops(segmented)
    lap()
    scale = cell_scale(measured)
    appearances = np.stack([appearance(item, scale) for item in measured])
    lap()
    predictions = predict(appearances, embedder)
    lap()
    assign([item.log_probabilities for item in predictions], [1 - item.unknown for item in predictions])
    lap()
    return dict(zip(("crop", "measure", "canvas", "network", "assign"), np.diff(clock).tolist(), strict=True))


def contender(name: str, embedder: Path, resnet: Path, crops: Sequence[Crops], threads: int) -> Contender:
    """Return the contender called ``name``."""
    placement = Placement(threads=threads)
    if name == RESNET:
        network = load_engine(resnet, "cpu", placement)
        side = network.inputs[0].shape[-1]
        pictures = np.random.default_rng(0).random((NORMAL_COUNT, 3, side, side), np.float32)
        return lambda _: network.infer({"picture": pictures})
    engine = load_engine(embedder, "cpu", placement)
    if name == WHOLE_WAY:
        return lambda turn: whole_way(crops[turn % len(crops)], engine)
    appearances = np.random.default_rng(0).random((NORMAL_COUNT, ROWS, COLUMNS), np.float32)
    if name == NETWORK:
        return lambda _: engine.infer({"appearance": appearances[:, None]})
    return lambda _: predict(appearances, engine)


def peak_of_process(name: str, arguments: argparse.Namespace, resnet: Path) -> str:
    """Return the peak memory, MiB, of a process that runs one contender once."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.speed.classification_speed",
        "--embedder",
        arguments.embedder,
        "--threads",
        str(arguments.threads),
    ]
    if arguments.report:
        command += ["--report", arguments.report]
    done = subprocess.run([*command, "--peak-of", name, "--resnet", resnet], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> None:
    """Time every contender and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = data_folder() / "pki3_gband.zip"
    parser.add_argument("--embedder", type=Path, help="ONNX file; default: the shipped weights")
    parser.add_argument("--report", type=Path, default=data if data.is_file() else None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=Placement().cpu_threads)
    parser.add_argument("--resnet", type=Path, help="ONNX file that an earlier run exported")
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.embedder = arguments.embedder or resolve(EMBEDDER).path
    cv2.setNumThreads(arguments.threads)
    crops = cells(arguments.report, 2 if arguments.peak_of else arguments.rounds) if arguments.report else []
    if arguments.peak_of:
        if arguments.peak_of != BASELINE:
            contender(arguments.peak_of, arguments.embedder, arguments.resnet, crops, arguments.threads)(0)
        print(f"{peak_mib():.0f}")
        return
    with tempfile.TemporaryDirectory() as folder:
        resnet = arguments.resnet
        if resnet is None:
            from benchmarks.accuracy.resnet import write  # noqa: PLC0415 - torch, which only the export needs

            resnet = write(Path(folder) / "resnet50.onnx", len(CLASS_NAMES))
        compare(arguments, resnet, crops)


def compare(arguments: argparse.Namespace, resnet: Path, crops: list[Crops]) -> None:
    """Run the rounds, and print the tables."""
    names = [NETWORK, BOTH_WAYS, *([WHOLE_WAY] if crops else []), RESNET]
    runs = {name: contender(name, arguments.embedder, resnet, crops, arguments.threads) for name in names}
    wall, processor = {name: np.zeros(arguments.rounds) for name in names}, dict.fromkeys(names, 0.0)
    stages: list[dict[str, float]] = []
    for run in runs.values():
        run(0)
    for turn in range(arguments.rounds):
        for name, run in runs.items():
            began, worked = time.perf_counter(), time.process_time()
            result = run(turn)
            wall[name][turn] = time.perf_counter() - began
            processor[name] += time.process_time() - worked
            if name == WHOLE_WAY and isinstance(result, dict):
                stages.append(result)
    print(
        f"{arguments.threads} threads, {arguments.rounds} rounds, batches of {NORMAL_COUNT}; "
        "median (smallest to largest)"
    )
    print_header(*TABLE)
    for name in names:
        size = (resnet if name == RESNET else arguments.embedder).stat().st_size / 1e6
        cells_of_row = (
            name,
            spread(NORMAL_COUNT / wall[name], 1),
            spread(wall[RESNET] / wall[name], 1),
            spread(REPORTS * wall[name], 1),
            f"{1000 * processor[name] / NORMAL_COUNT / arguments.rounds:.2f}",
            f"{size:.1f}",
            peak_of_process(name, arguments, resnet),
        )
        print_row(*cells_of_row)
    print(f"\n{BASELINE}: {peak_of_process(BASELINE, arguments, resnet)} MiB")
    if stages:
        total = sum(sum(stage.values()) for stage in stages)
        shares = [f"{name} {sum(stage[name] for stage in stages) / total:.0%}" for name in stages[0]]
        print(f"{WHOLE_WAY}: {', '.join(shares)}")


if __name__ == "__main__":
    main()
