"""Adaptation of the embedding network to a laboratory by self-training.

The metaphase images of the laboratory have no labels.

The assignment of a whole cell is more reliable than the prediction of one chromosome: each class occurs about twice.
The assigned classes are the labels from which the network learns (pseudo-labels, Lee 2013). The rest of each batch are
simulated chromosomes, whose labels are true.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from karyotyping.classification.assignment import Assignment, assign
from karyotyping.classification.embedder import EMBEDDER
from karyotyping.classification.prediction import Prediction
from karyotyping.image.decode import ImageRejected, decode
from karyotyping.pipeline import Pipeline
from models.registry import digest, resolve
from training.common.progress import Log
from training.configs.embedder import AdaptationConfig, read_adaptation_config
from training.embedder.card import write_adapted_card
from training.embedder.checkpoint import export_embedder
from training.embedder.data import (
    APPEARANCE_VERSION,
    Chromosomes,
    ReportRow,
    cache_path,
    draw_canvases,
    load_chromosomes,
    save_chromosomes,
)
from training.embedder.loop import Batches, fit
from training.embedder.synthetic import read_simulated
from training.embedder.validate import predict_cells

_MIN_CLASS_PROBABILITY = 0.5  # 0..1, given the cell, from which a class becomes a label
_MIN_POLARITY_PROBABILITY = 0.9  # 0..1, from which a polarity becomes a label
_HELD_OUT_EVERY = 5  # cells; every fifth is held out to measure the agreement
_MIN_GAIN = 0.05  # rise of the agreement, 0..1; without a gain in accuracy it rose by 0.038 at most


def adapt(config: Path | None, out: Path, images: Sequence[Path], log: Log = print, start: Path | None = None) -> Path:
    """Adapt the network to metaphase images: see ``adapt_to``.

    Args:
        config: TOML file; None for ``training/configs/adaptation.toml``.
        out: folder of the chromosomes read, with one folder for each configuration's result.
        images: image files; files that are no image, or show no chromosomes, are skipped and logged.
        log: receives lines of progress.
        start: exported network to start from; None for the one that karyoflow ships.

    Returns:
        The exported file.

    Raises:
        ValueError: the configuration is not valid, no image shows chromosomes, or ``start`` is another kind of network.
    """
    settings = read_adaptation_config(config)
    out.mkdir(parents=True, exist_ok=True)
    unlabelled = read_images(images, out, log)
    return adapt_to(unlabelled, settings, out, log, start or resolve(EMBEDDER).path)


def adapt_to(unlabelled: Chromosomes, config: AdaptationConfig, out: Path, log: Log, start: Path) -> Path:
    """Adapt the network in ``start`` to the chromosomes of whole cells.

    An interrupted adaptation continues from its last checkpoint. Every fifth cell is held out: the card reports how
    often the prediction of one of its chromosomes agrees with the assignment of its cell, before and after.

    Args:
        unlabelled: chromosomes of whole cells; their classes are not used.
        config: configuration of the adaptation.
        out: folder to write into.
        log: receives lines of progress.
        start: exported network.

    Returns:
        The exported file.

    Raises:
        ValueError: ``start`` is another kind of network, or no assignment is probable enough to be a label.
        training.common.onnx_export.ExportMismatch: the exported file differs from the network.
    """
    held_out = np.isin(unlabelled.cell, np.unique(unlabelled.cell)[_HELD_OUT_EVERY - 1 :: _HELD_OUT_EVERY])
    labelled = pseudo_label(start, unlabelled[~held_out])
    if not len(labelled):
        raise ValueError("no chromosome has a probable class within its cell: the network is too weak to start from")
    simulated = read_simulated(config.simulated_cells, config.seed, out, log=log)
    log(f"learning from {len(labelled)} of {len(unlabelled) - held_out.sum()} chromosomes, labelled by their cells")
    share = config.told
    weights = np.concatenate(
        [np.full(len(labelled), share / len(labelled)), np.full(len(simulated), (1 - share) / len(simulated))]
    )
    chromosomes = Chromosomes.concatenate([labelled, simulated])
    identity = {**asdict(config), "sight": APPEARANCE_VERSION, "shown": _sha256(start, unlabelled)}
    folder = out / f"adapted-{digest(identity)[:8]}"
    folder.mkdir(exist_ok=True)
    trained = fit(Batches(chromosomes, weights, config), config, folder, log, start)
    exported = export_embedder(trained, config.scale * config.sharpness, folder, chromosomes)
    agreements = {}
    if held_out.any():
        agreements = {
            "before": agreement(start, unlabelled[held_out]),
            "after": agreement(exported, unlabelled[held_out]),
        }
    log(_verdict(agreements))
    write_adapted_card(exported, config, len(labelled), agreements, start)
    return exported


def _verdict(agreements: Mapping[str, float]) -> str:
    """Return in one sentence what the adaptation gained, and what to do with the network."""
    if not agreements:
        return f"fewer than {_HELD_OUT_EVERY} cells: none was held out, so compare the karyograms of both networks"
    gained = agreements["after"] - agreements["before"]
    advice = "use the adapted network" if gained >= _MIN_GAIN else "too little: keep the network that you have"
    return (
        f"in held-out cells, predictions of single chromosomes agreed with their cells for "
        f"{agreements['before']:.1%} of the chromosomes before, {agreements['after']:.1%} after: {advice}"
    )


def read_images(files: Sequence[Path], cache: Path, log: Log) -> Chromosomes:
    """Segment the chromosomes of metaphase images; each image is a cell, and classes are -1.

    Args:
        files: image files.
        cache: folder that keeps the chromosomes of each image.
        log: receives lines of progress.

    Raises:
        ValueError: no image shows chromosomes.
    """
    pipeline = Pipeline.default()
    parts: dict[Path, Chromosomes] = {}
    for number, file in enumerate(files, start=1):
        data = file.read_bytes()
        # File names repeat between folders, and the chromosomes depend on the segmenter.
        cell = digest({"image": hashlib.sha256(data).hexdigest(), "pipeline": pipeline.digest})[:16]
        stored = cache_path(cache, f"image-{cell}")
        if not stored.is_file():
            try:
                measurements = pipeline.measure(decode(data).pixels)
            except ImageRejected as problem:
                log(f"{file.name}: {problem.sentence}")
                continue
            if not measurements:
                log(f"{file.name}: no chromosomes found")
                continue
            rows = [ReportRow(f"{cell}/{k}", -1, False, cell, cell) for k in range(len(measurements))]
            save_chromosomes(stored, draw_canvases(rows, measurements), "images")
            log(f"{number} of {len(files)}: {len(measurements)} chromosomes in {file.name}")
        if stored not in parts:  # copies of an image under other names are one cell
            parts[stored] = load_chromosomes(stored)
    if not parts:
        raise ValueError("none of the images shows chromosomes: there is nothing to adapt to")
    return Chromosomes.concatenate(list(parts.values()))


def pseudo_label(weights: Path, unlabelled: Chromosomes) -> Chromosomes:
    """Return the chromosomes whose class within their cell is probable, labelled with it.

    They are turned p arm up where their polarity is probable.

    Args:
        weights: exported network.
        unlabelled: chromosomes of whole cells.
    """
    canvas, class_index = unlabelled.canvas.copy(), np.full(len(unlabelled), -1)
    upright = np.zeros(len(unlabelled), bool)
    for k, (prediction, assignment) in enumerate(_predict_and_assign(weights, unlabelled)):
        if assignment.class_id is None or assignment.score <= _MIN_CLASS_PROBABILITY:
            continue
        up = prediction.p_up(assignment.class_id)
        if up < 1 - _MIN_POLARITY_PROBABILITY:
            canvas[k] = canvas[k, ::-1]
        class_index[k], upright[k] = assignment.class_id - 1, max(up, 1 - up) > _MIN_POLARITY_PROBABILITY
    return replace(unlabelled, canvas=canvas, class_index=class_index, upright=upright)[class_index >= 0]


def agreement(weights: Path, unlabelled: Chromosomes) -> float:
    """Return the share of chromosomes, 0..1, whose prediction is the assigned class."""
    pairs = _predict_and_assign(weights, unlabelled)
    return round(float(np.mean([prediction.top5[0][0] == assignment.class_id for prediction, assignment in pairs])), 4)


def _predict_and_assign(weights: Path, unlabelled: Chromosomes) -> list[tuple[Prediction, Assignment]]:
    """Return the prediction of each chromosome, and its assignment within its cell."""
    predictions = predict_cells(weights, unlabelled)
    assignments: dict[int, Assignment] = {}
    for cell in np.unique(unlabelled.cell):
        members = np.flatnonzero(unlabelled.cell == cell).tolist()
        in_cell = assign(
            [predictions[k].log_probabilities for k in members], [1 - predictions[k].unknown for k in members]
        )
        assignments.update(zip(members, in_cell, strict=True))
    return [(prediction, assignments[k]) for k, prediction in enumerate(predictions)]


def _sha256(start: Path, unlabelled: Chromosomes) -> str:
    """Return the SHA-256 of a network and the chromosomes that it adapts to."""
    state = hashlib.sha256(start.read_bytes())
    state.update(np.ascontiguousarray(unlabelled.canvas).data)
    return state.hexdigest()
