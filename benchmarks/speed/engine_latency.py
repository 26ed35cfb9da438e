"""Latency, throughput and memory of every shipped network, by engine and batch size.

    python -m benchmarks.speed.engine_latency --plot engines.png

Each round measures every batch size once, so that other load on the machine affects all of them. Inputs are random: no
network branches on its input. Peak memory is that of a separate process for each row.

Output: a Markdown table, and with ``--plot`` a PNG of throughput against batch size.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.figures import draw_lines, machine, markdown, peak_mib
from models import registry
from models.engine import OnnxEngine, load_engine
from models.errors import EngineUnavailable
from models.providers import PROVIDERS, Placement, Profile, usable_cores
from models.runtime import ort

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Row(NamedTuple):
    """One network on one engine at one batch size."""

    network: str
    engine: str
    batch: int
    fastest: float
    """ms of a call."""
    median: float
    """ms of a call."""
    throughput: float
    """Items per second of the fastest call, which other load on the machine affects least."""
    processor: float
    """CPU ms of an item."""
    memory: float
    """Peak MiB of a process that loads the engine and makes a call."""


def load_for_all_batches(network: str, engine: str, threads: int) -> OnnxEngine:
    """Load an engine that takes every batch in one call."""
    placement = Placement(
        threads=threads,
        profile=Profile(max_batch=max(BATCHES), image_batches=(1, 4, max(BATCHES))),
        max_cpu_values=sys.maxsize,
    )
    return load_engine(registry.resolve(network).path, engine, placement)


def random_batch(engine: OnnxEngine, size: int) -> dict[str, np.ndarray]:
    """Return random inputs; images have the usual sides."""
    random, side = np.random.default_rng(0), Profile().image_sides[1]
    shapes = {t.name: (size, *(known or side for known in t.shape)) for t in engine.inputs}
    return {t.name: random.random(shapes[t.name], np.float32).astype(t.dtype) for t in engine.inputs}


def measure(network: str, engine: str, batches: list[int], rounds: int, threads: int) -> list[Row]:
    """Return a row per batch size."""
    loaded = load_for_all_batches(network, engine, threads)
    inputs = {size: random_batch(loaded, size) for size in batches}
    wall = np.zeros((len(batches), rounds))
    processor = np.zeros(len(batches))
    for size in batches:
        loaded.infer(inputs[size])
    for turn in range(rounds):
        for k, size in enumerate(batches):
            began, worked = time.perf_counter(), time.process_time()
            loaded.infer(inputs[size])
            wall[k, turn] = 1000 * (time.perf_counter() - began)
            processor[k] += 1000 * (time.process_time() - worked)
    return [
        Row(
            network,
            engine,
            size,
            fastest=float(wall[k].min()),
            median=float(np.median(wall[k])),
            throughput=float(1000 * size / wall[k].min()),
            processor=float(processor[k] / size / rounds),
            memory=peak_of_process(network, engine, size, threads),
        )
        for k, size in enumerate(batches)
    ]


def peak_of_process(network: str, engine: str, batch: int, threads: int) -> float:
    """Return the peak memory, MiB, of a process that makes one call."""
    options = ["--networks", network, "--engines", engine, "--batches", str(batch), "--threads", str(threads)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed.engine_latency", *options, "--peak"],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    offered = [kind for kind, provider in PROVIDERS.items() if provider in ort.get_available_providers()]
    parser.add_argument("--networks", nargs="+", default=registry.available())
    parser.add_argument("--engines", nargs="+", default=offered, choices=list(PROVIDERS))
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--plot", type=Path, help="PNG to write throughput against batch size to")
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        engine = load_for_all_batches(arguments.networks[0], arguments.engines[0], arguments.threads)
        engine.infer(random_batch(engine, arguments.batches[0]))
        print(peak_mib())
        return
    rows: list[Row] = []
    print(f"{machine()}; ONNX Runtime {ort.__version__}, {arguments.threads} threads, {arguments.rounds} rounds\n")
    for network in arguments.networks:
        for engine in arguments.engines:
            try:
                rows += measure(network, engine, arguments.batches, arguments.rounds, arguments.threads)
            except EngineUnavailable as problem:
                print(f"{network} on {engine}: {problem}\n", file=sys.stderr)
    columns = ("network", "engine", "batch", "ms a call, fastest", "median", "items/s", "CPU ms an item", "peak MiB")
    digits = (2, 2, 0, 3, 0)
    cells = [(*row[:3], *(f"{value:.{k}f}" for value, k in zip(row[3:], digits, strict=True))) for row in rows]
    print(markdown(columns, cells))
    if arguments.plot:
        series: dict[str, list[tuple[float, float]]] = {}
        for row in rows:
            series.setdefault(f"{row.network}, {row.engine}", []).append((row.batch, row.throughput))
        draw_lines(arguments.plot, "Engines: throughput against batch size", "items in a batch", "items/s", series)


if __name__ == "__main__":
    main()
