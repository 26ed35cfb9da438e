"""Train the segmenter and export it: ``karyo train segmenter``."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from karyotyping.segmentation.instance_decoding import SEGMENTER, TILE_SIDE_STEP, TRAINING_TILE_SIDE
from karyotyping.segmentation.router import ROUTER
from karyotyping.segmentation.stream import Networks
from models.engine import load_engine
from models.networks.segmenter import Maps
from models.registry import digest, resolve
from training.common.onnx_export import export_onnx
from training.segmenter.card import write_segmenter_card
from training.segmenter.dataset import SimulatedSamples
from training.segmenter.loop import Settings, fit
from training.segmenter.pseudo_labels import LabelledImage, interleave, label_images
from training.segmenter.sample import Stream
from training.segmenter.validate import measure_held_out

Say = Callable[[str], None]
TOLD = "told.jsonl"
"""What the looks at each photograph agree on: file, and of each chromosome the share of the looks and its mask."""
_COMPARED = 3
"""Tiles on which the exported file must compute what the network does."""


def train(
    config: Path, out: Path, say: Say = print, *, start: Path | None = None, photographs: Sequence[Path] = ()
) -> Path:
    """Train on fields simulated from karyotype reports, and on photographs of metaphases: see ``train_on``.

    Args:
        config: TOML like ``training/configs/segmenter.toml``; its reports lie in the folder that ``KARYO_TEST_DATA``
            names. Those that are not there are left out, and the card says so.
        out: in a folder of its own each configuration's checkpoint, log, network and figures.
        say: told of each line of the log.
        start: checkpoint of an earlier training, whose averaged weights this one begins with, or what it exported.
        photographs: in which nobody has drawn; half of the fields are cut out of them. What ``start`` exported, or else
            what karyoflow comes with, tells the chromosomes in them, and is what the training begins with.

    Raises:
        training.common.onnx_export.ExportDiffers: the exported file disagrees with the network.
        ValueError: none of the reports is there, nor photographs; nothing is told in those; or a loss has no weight.
    """
    settings = tomllib.loads(config.read_text("utf-8"))
    data = Path(os.environ.get("KARYO_TEST_DATA", "."))
    reports = [data / name for name in settings["reports"] if (data / name).is_file()]
    if not reports:
        missing = (
            f"none of {', '.join(settings['reports'])} is in {data.resolve()}: set KARYO_TEST_DATA to their folder"
        )
        if not photographs:
            raise ValueError(missing)
        say(f"{missing}; chromosomes are drawn from ideograms alone")
    if photographs and start is None:
        start = resolve(SEGMENTER).path
    names = [report.name for report in reports]
    begun = {} if start is None else {"start": _sha256(start)}
    shown = {"photographs": [_sha256(file) for file in photographs]} if photographs else {}
    folder = out / digest({**settings, "found": names, **begun, **shown})[:8]
    seed, workers = settings["seed"], settings["workers"]
    cases = settings["cases"]
    seen = SimulatedSamples(reports, seed=seed, workers=workers, cases=cases, turns=settings["turns"])
    unseen = SimulatedSamples(reports, seed=seed + 1, held_out=True, workers=workers, cases=cases, turns=1)
    if not photographs:
        return train_on(seen, unseen, settings, folder, say, reports=names, start=start)
    folder.mkdir(parents=True, exist_ok=True)
    labelled = label_images(photographs, _tellers(start), folder / TOLD, say)
    if not labelled:
        raise ValueError(
            "in none of the photographs is a chromosome told whatever way it is turned: nothing to learn from"
        )
    return train_on(seen, unseen, settings, folder, say, reports=names, start=start, labelled=labelled)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _tellers(start: Path | None) -> Networks:
    exported = start if start is not None and start.suffix == ".onnx" else resolve(SEGMENTER).path
    return Networks(load_engine(resolve(ROUTER).path), load_engine(exported))


def train_on(
    seen: Stream,
    unseen: Stream,
    settings: Mapping[str, Any],
    folder: Path,
    say: Say,
    *,
    reports: Sequence[str] = (),
    start: Path | None = None,
    labelled: Sequence[LabelledImage] = (),
) -> Path:
    """Train on the fields of one stream, export ``segmenter.onnx``, measure it on those of the other, write its card.

    Interrupted, it goes on from the last checkpoint in ``folder``.

    Args:
        seen: fields to learn from.
        unseen: fields of cells that are not among them; ``settings["held_out"]`` are measured.
        settings: a configuration like ``training/configs/segmenter.toml``.
        folder: of this configuration alone.
        say: told of each line of the log.
        reports: names of the reports that the fields are made of.
        start: checkpoint or exported network that the training begins with.
        labelled: photographs that as many other fields are cut out of. Batch normalisation takes its statistics from
            ``seen`` alone, which has every stain: with the photographs' they spoil stains that those lack.

    Raises:
        training.common.onnx_export.ExportDiffers: the exported file disagrees with the network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stream = interleave(seen, labelled, settings["seed"]) if labelled else seen
    trained = fit(stream, Settings.of(settings), folder, say, start, usual=seen)
    few = np.stack([field.stain for field in islice(unseen(0), _COMPARED)])[:, None]
    stain = {"stain": few.reshape(-1, 1, TRAINING_TILE_SIDE, TRAINING_TILE_SIDE)}
    weights = export_onnx(Maps(trained), folder / f"{SEGMENTER}.onnx", stain, Maps.NAMES, sides_of=TILE_SIDE_STEP)
    measured = measure_held_out(weights, islice(unseen(0), settings["held_out"]), folder)
    say(f"held out: {json.dumps(measured)}")
    write_segmenter_card(weights, settings, reports, measured, start=start, photographs=len(labelled))
    return weights
