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

from karyotyping.instances import SEGMENTER, TILE
from models.networks.segmenter import Maps
from models.registry import digest
from training.export import export
from training.segmenter.card import write_segmenter_card
from training.segmenter.fields import Fields
from training.segmenter.heldout import measure_held_out
from training.segmenter.loop import Settings, Stream, fit

Say = Callable[[str], None]
_COMPARED = 3
"""Tiles on which the exported file must compute what the network does."""


def train(config: Path, out: Path, say: Say = print, *, start: Path | None = None) -> Path:
    """Train on fields simulated from karyotype reports: see ``train_on``.

    Args:
        config: TOML like ``training/configs/segmenter.toml``; its reports lie in the folder that ``KARYO_TEST_DATA``
            names. Those that are not there are left out, and the card says so.
        out: in a folder of its own each configuration's checkpoint, log, network and figures.
        say: told of each line of the log.
        start: checkpoint of an earlier training, whose averaged weights this one begins with, or what it exported.

    Raises:
        training.export.ExportDiffers: the exported file disagrees with the network.
        ValueError: none of the reports is there, or a loss has no weight.
    """
    settings = tomllib.loads(config.read_text("utf-8"))
    data = Path(os.environ.get("KARYO_TEST_DATA", "."))
    reports = [data / name for name in settings["reports"] if (data / name).is_file()]
    if not reports:
        raise ValueError(
            f"none of {', '.join(settings['reports'])} is in {data.resolve()}: set KARYO_TEST_DATA to their folder"
        )
    names = [report.name for report in reports]
    begun = {} if start is None else {"start": hashlib.sha256(start.read_bytes()).hexdigest()}
    folder = out / digest({**settings, "found": names, **begun})[:8]
    seed, workers = settings["seed"], settings["workers"]
    cases = settings["cases"]
    seen = Fields(reports, seed=seed, workers=workers, cases=cases, turns=settings["turns"])
    unseen = Fields(reports, seed=seed + 1, held_out=True, workers=workers, cases=cases, turns=1)
    return train_on(seen, unseen, settings, folder, say, reports=names, start=start)


def train_on(
    seen: Stream,
    unseen: Stream,
    settings: Mapping[str, Any],
    folder: Path,
    say: Say,
    *,
    reports: Sequence[str] = (),
    start: Path | None = None,
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

    Raises:
        training.export.ExportDiffers: the exported file disagrees with the network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trained = fit(seen, Settings.of(settings), folder, say, start)
    few = np.stack([field.stain for field in islice(unseen(0), _COMPARED)])[:, None]
    weights = export(Maps(trained), folder / f"{SEGMENTER}.onnx", {"stain": few.reshape(-1, 1, TILE, TILE)}, Maps.NAMES)
    measured = measure_held_out(weights, islice(unseen(0), settings["held_out"]), folder)
    say(f"held out: {json.dumps(measured)}")
    write_segmenter_card(weights, settings, reports, measured, start)
    return weights
