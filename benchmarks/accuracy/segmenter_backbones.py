"""One segmenter for models 4 and 5 of KaryoXpert against a network for each.

    python -m benchmarks.accuracy.segmenter_backbones [--config TOML] [--steps 600] [--tiles 300]

Measures detection on held-out simulated tiles. Model 4 segments clusters; model 5 segments chromosomes among noise:
nuclei, debris, neighbouring cells. Three networks continue from the shipped weights, with the same steps and
architecture: on all tiles, on tiles without noise, and on tiles with noise. It needs the extra `train`, the reports in
$KARYO_TEST_DATA, and an hour on two cores. An interrupted run continues from its checkpoints in ``--out``.

Output: a Markdown table with a row for each network and kind of tile.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from benchmarks.figures import log_progress, markdown
from karyotyping.segmentation.instance_decoding import SEGMENTER
from models.registry import resolve
from training.common.data_folder import available_reports
from training.configs.segmenter import read_segmenter_config
from training.segmenter.dataset import SimulatedSamples
from training.segmenter.sample import Sample, Stream
from training.segmenter.train import train_on
from training.segmenter.validate import measure_held_out

MIN_NOISE = 0.03  # share of the foreground outside of chromosomes; about half of the tiles have more
MIN_STAIN = 0.3  # of the foreground
BLUR_RIM = np.ones((7, 7), np.uint8)  # px around a chromosome that its blur stains
LEARNING_RATE = 5e-4  # of the continued training
COLUMNS = ("bbox_AP50", "bbox_mAP", "segm_AP50", "segm_mAP", "bbox_Acc", "bbox_AER")


def has_noise(tile: Sample) -> bool:
    """Return whether a tile has stain outside of its chromosomes."""
    foreground = tile.stain > MIN_STAIN
    body = cv2.dilate(np.asarray(tile.masks.any(axis=0), np.uint8), BLUR_RIM) > 0
    return bool((foreground & ~body).sum() > MIN_NOISE * foreground.sum())


def filter_stream(stream: Stream, wanted: Callable[[Sample], bool]) -> Stream:
    """Return the wanted tiles of a stream, of which every second one is supposed to be wanted."""

    def filtered(start: int) -> Iterator[Sample]:
        return filter(wanted, stream(2 * start))

    return filtered


def main() -> None:
    """Train the three networks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, help="default: the shipped segmenter.toml")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--tiles", type=int, default=300, help="number of held-out tiles of each kind")
    parser.add_argument("--out", type=Path, default=Path("runs/segmenter-backbones"))
    arguments = parser.parse_args()
    config = read_segmenter_config(arguments.config)
    config = replace(config, steps=arguments.steps, learning_rate=LEARNING_RATE, held_out=1, averaging=0.99)
    reports, seed, cases = available_reports(config.reports), config.seed, config.cases
    training = SimulatedSamples(reports, seed=seed, workers=config.workers, cases=cases, turns=config.turns)
    held_out = SimulatedSamples(reports, seed=seed + 1, held_out=True, workers=config.workers, cases=cases, turns=1)
    kinds: dict[str, Callable[[Sample], bool]] = {"clusters": lambda tile: not has_noise(tile), "noise": has_noise}
    tiles = {name: list(islice(filter(wanted, held_out(0)), arguments.tiles)) for name, wanted in kinds.items()}
    rows = []
    for trained_on in ("before", "both", *kinds):
        out = arguments.out / trained_on
        stream = filter_stream(training, kinds[trained_on]) if trained_on in kinds else training
        start = resolve(SEGMENTER).path
        out.mkdir(parents=True, exist_ok=True)
        weights = start
        if trained_on != "before":
            weights = train_on(stream, held_out, config, out, log_progress, start=start)
        for kind, samples in tiles.items():
            measured = measure_held_out(weights, samples, out)
            rows.append((trained_on, kind, *(f"{measured[name]:.3f}" for name in COLUMNS)))
    print(markdown(("trained on", "measured on", *COLUMNS), rows))


if __name__ == "__main__":
    main()
