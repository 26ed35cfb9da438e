"""One network for models 4 and 5 of KaryoXpert against two: the same first weights, steps and architecture.

    python -m benchmarks.accuracy.segmenter_backbones [--config TOML] [--steps 600]
        [--tiles 300]

Prints a Markdown table. Model 4 tells the chromosomes of clusters, model 5 those that lie among noise: nuclei, debris,
neighbouring cells. Three networks begin with the weights that karyoflow comes with: one learns from all simulated
tiles, one from those without noise, one from those with noise, and all are measured on held-out tiles of both kinds.
Needs the extra `train`; reports lie in the folder that $KARYO_TEST_DATA names. An hour on two cores; interrupted, it
goes on from its checkpoints in ``--out``.
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

NOISY = 0.03
"""Share of a tile's foreground outside of chromosomes from which it has noise; about half of the tiles do."""
FOREGROUND = 0.3
"""Least stain of it."""
RIM = np.ones((7, 7), np.uint8)
"""A chromosome's blur is none."""
LEARNING_RATE = 5e-4
"""Of a training that goes on."""
SHOWN = ("bbox_AP50", "bbox_mAP", "segm_AP50", "segm_mAP", "bbox_Acc", "bbox_AER")


def has_noise(field: Sample) -> bool:
    """Whether more is stained in a tile than its chromosomes."""
    foreground = field.stain > FOREGROUND
    body = cv2.dilate(np.asarray(field.masks.any(axis=0), np.uint8), RIM) > 0
    return bool((foreground & ~body).sum() > NOISY * foreground.sum())


def only(stream: Stream, wanted: Callable[[Sample], bool]) -> Stream:
    """The fields of a stream that are wanted, supposed to be every second one: ``start`` counts what is left."""

    def chosen(start: int) -> Iterator[Sample]:
        return filter(wanted, stream(2 * start))

    return chosen


def main() -> None:
    """Train the three and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, help="default: the shipped segmenter.toml")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--tiles", type=int, default=300, help="of each kind, to measure on")
    parser.add_argument("--out", type=Path, default=Path("runs/segmenter-backbones"))
    arguments = parser.parse_args()
    config = read_segmenter_config(arguments.config)
    config = replace(config, steps=arguments.steps, learning_rate=LEARNING_RATE, held_out=1, averaging=0.99)
    reports, seed, cases = available_reports(config.reports), config.seed, config.cases
    seen = SimulatedSamples(reports, seed=seed, workers=config.workers, cases=cases, turns=config.turns)
    unseen = SimulatedSamples(reports, seed=seed + 1, held_out=True, workers=config.workers, cases=cases, turns=1)
    kinds: dict[str, Callable[[Sample], bool]] = {"clusters": lambda field: not has_noise(field), "noise": has_noise}
    tiles = {name: list(islice(filter(wanted, unseen(0)), arguments.tiles)) for name, wanted in kinds.items()}
    rows = []
    for learned in ("before", "both", *kinds):
        out = arguments.out / learned
        stream = only(seen, kinds[learned]) if learned in kinds else seen
        start = resolve(SEGMENTER).path
        out.mkdir(parents=True, exist_ok=True)
        weights = start if learned == "before" else train_on(stream, unseen, config, out, log_progress, start=start)
        for shown, fields in tiles.items():
            measured = measure_held_out(weights, fields, out)
            rows.append((learned, shown, *(f"{measured[name]:.3f}" for name in SHOWN)))
    print(markdown(("learned from", "measured on", *SHOWN), rows))


if __name__ == "__main__":
    main()
