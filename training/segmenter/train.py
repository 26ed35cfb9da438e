"""Training and export of the segmenter: ``karyo train segmenter``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from karyotyping.classification.embedder import EMBEDDER
from karyotyping.classification.recognise import recognise
from karyotyping.segmentation.instance_decoding import SEGMENTER, TILE_SIDE_STEP, TRAINING_TILE_SIDE
from karyotyping.segmentation.router import ROUTER
from karyotyping.segmentation.stream import Networks
from models.engine import load_engine
from models.networks.segmenter import Maps
from models.registry import digest, resolve
from training.common.card import file_sha256
from training.common.data_folder import available_reports, data_folder
from training.common.onnx_export import export_onnx
from training.common.progress import Log
from training.configs.segmenter import SegmenterConfig, read_segmenter_config
from training.segmenter.card import write_segmenter_card
from training.segmenter.dataset import SimulatedSamples
from training.segmenter.loop import fit
from training.segmenter.pseudo_labels import LabelledImage, interleave, label_images
from training.segmenter.sample import Stream
from training.segmenter.validate import measure_held_out

PSEUDO_LABELS = "told.jsonl"
"""File of the consensus of each metaphase image: file name, and share and mask of each chromosome."""
_VERIFIED_TILES = 3
"""Tiles on which the exported file must compute what the network does."""


def train(
    config: Path | None,
    out: Path,
    log: Log = print,
    *,
    start: Path | None = None,
    images: Sequence[Path] = (),
) -> Path:
    """Train on simulated tiles, and on unlabelled metaphase images: see ``train_on``.

    Args:
        config: TOML file; None for ``training/configs/segmenter.toml``, with images ``photographs.toml``. Reports that
            are not in ``KARYO_TEST_DATA`` are skipped, and the card says so.
        out: folder with one folder for each configuration's checkpoint, log, network and metrics.
        log: receives lines of progress.
        start: checkpoint of an earlier training, whose averaged weights this one starts from, or its exported file.
        images: unlabelled metaphase images; half of the tiles are cut out of them. The network in ``start``, or
            the one that karyoflow ships, labels their chromosomes, and the training starts from it.

    Returns:
        The exported file.

    Raises:
        ValueError: the configuration is not valid; there are neither reports nor images; or no chromosome of the
            images gets a label.
        training.common.onnx_export.ExportMismatch: the exported file differs from the network.
    """
    settings = read_segmenter_config(config, shipped="photographs.toml" if images else "segmenter.toml")
    reports = available_reports(settings.reports)
    if not reports:
        missing = (
            f"none of {', '.join(settings.reports)} is in {data_folder().resolve()}: "
            "set KARYO_TEST_DATA to their folder"
        )
        if not images:
            raise ValueError(missing)
        log(f"{missing}; chromosomes are drawn from ideograms alone")
    if images and start is None:
        start = resolve(SEGMENTER).path
    names = [report.name for report in reports]
    inputs: dict[str, object] = {"found": names}
    if start is not None:
        inputs["start"] = file_sha256(start)
    if images:
        inputs["photographs"] = [file_sha256(file) for file in images]
    folder = out / digest({**asdict(settings), **inputs})[:8]
    training, validation = (
        SimulatedSamples(
            reports,
            seed=settings.seed + int(held_out),
            held_out=held_out,
            workers=settings.workers,
            cases=settings.cases,
            turns=1 if held_out else settings.turns,
        )
        for held_out in (False, True)
    )
    labelled: list[LabelledImage] = []
    if images:
        folder.mkdir(parents=True, exist_ok=True)
        labelled = label_images(images, _labelling_networks(start), folder / PSEUDO_LABELS, log)
        if not labelled:
            raise ValueError("in none of the images is a chromosome detected in most orientations: nothing to learn")
    return train_on(training, validation, settings, folder, log, reports=names, start=start, labelled=labelled)


def _labelling_networks(start: Path | None) -> Networks:
    """Return the shipped networks, with the segmenter in ``start`` if that is exported."""
    exported = start if start is not None and start.suffix == ".onnx" else resolve(SEGMENTER).path
    evidence = partial(recognise, embedder=load_engine(resolve(EMBEDDER).path))
    return Networks(load_engine(resolve(ROUTER).path), load_engine(exported), evidence)


def train_on(
    training: Stream,
    validation: Stream,
    config: SegmenterConfig,
    folder: Path,
    log: Log,
    *,
    reports: Sequence[str] = (),
    start: Path | None = None,
    labelled: Sequence[LabelledImage] = (),
) -> Path:
    """Train, export ``segmenter.onnx``, validate it and write its card.

    An interrupted training continues from the last checkpoint in ``folder``.

    Args:
        training: samples to learn from.
        validation: samples of other cells; ``config.held_out`` of them are measured.
        config: configuration of the training.
        folder: folder of this configuration alone.
        log: receives lines of progress.
        reports: file names of the karyotype reports that the samples are composed of.
        start: checkpoint or exported network to start from.
        labelled: metaphase images that every second sample is cut out of. Batch normalisation is measured on
            ``training`` alone, which has every stain: the images' statistics would spoil the stains that they lack.

    Returns:
        The exported file.

    Raises:
        ValueError: ``start`` is of another network.
        training.common.onnx_export.ExportMismatch: the exported file differs from the network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stream = interleave(training, labelled, config.seed) if labelled else training
    trained = fit(stream, config, folder, log, start, batch_norm_stream=training)
    examples = np.stack([sample.stain for sample in islice(validation(0), _VERIFIED_TILES)])[:, None]
    stain = {"stain": examples.reshape(-1, 1, TRAINING_TILE_SIDE, TRAINING_TILE_SIDE)}
    weights = export_onnx(Maps(trained), folder / f"{SEGMENTER}.onnx", stain, Maps.NAMES, side_multiple=TILE_SIDE_STEP)
    metrics = measure_held_out(weights, islice(validation(0), config.held_out), folder)
    log(f"held out: {json.dumps(metrics)}")
    write_segmenter_card(weights, config, reports, metrics, start=start, images=len(labelled))
    return weights
