"""Training and export of the embedding network: ``karyo train embedder``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.registry import digest
from training.common.card import file_sha256
from training.common.data_folder import available_reports, data_folder
from training.common.progress import Log
from training.configs.embedder import EmbedderConfig, read_embedder_config
from training.embedder.card import write_embedder_card
from training.embedder.checkpoint import export_embedder
from training.embedder.composites import COMPOSED, read_composed
from training.embedder.data import APPEARANCE_VERSION, Chromosomes, read_report
from training.embedder.labelled_images import read_labelled_images, read_labels, split_of
from training.embedder.loop import Batches, fit
from training.embedder.synthetic import SIMULATED, read_simulated
from training.embedder.validate import measure_held_out


def train(
    config: Path | None,
    out: Path,
    log: Log = print,
    *,
    fold: int | None = None,
    without: str | None = None,
    start: Path | None = None,
) -> Path:
    """Train, export ``embedder.onnx``, and validate it on held-out chromosomes if there are any.

    An interrupted training continues from its last checkpoint.

    Args:
        config: TOML file; None for ``training/configs/embedder.toml``. Reports that are not in ``KARYO_TEST_DATA`` are
            skipped, and the card says so.
        out: folder of the chromosomes read, with one folder for each run's checkpoint and result.
        log: receives lines of progress.
        fold: part of the cases of every report to hold out, 0 to ``folds`` - 1.
        without: report to hold out as a whole.
        start: exported network to train on from, which has learned from no case that is held out.

    Returns:
        The exported file.

    Raises:
        ValueError: the configuration is not valid, there is no such fold or report, or ``start`` is another kind of
            network.
        training.common.onnx_export.ExportMismatch: the exported file differs from the network.
    """
    settings = read_embedder_config(config)
    out.mkdir(parents=True, exist_ok=True)
    chromosomes = read_all(settings, out, log)
    held_out = held_out_of(chromosomes, settings.folds, fold, without)
    name = "whole" if fold is None and without is None else f"fold-{fold}" if without is None else f"without-{without}"
    folder = out / f"{name}-{fingerprint(settings, chromosomes, start)}"
    folder.mkdir(exist_ok=True)
    training = chromosomes[~held_out]
    trained = fit(Batches(training, _sampling_weights(training, settings), settings), settings, folder, log, start)
    exported = export_embedder(trained, settings.scale * settings.sharpness, folder, training)
    if held_out.any():
        named = held_out & (chromosomes.class_index >= 0)
        log(json.dumps(measure_held_out(exported, chromosomes[named], folder)))
    else:
        named = ~np.isin(chromosomes.report, (SIMULATED, COMPOSED)) & (chromosomes.class_index >= 0)
        reports = sorted(set(chromosomes.report[named].tolist()))
        write_embedder_card(exported, settings, reports, int(named.sum()), start)
    return exported


def fingerprint(config: EmbedderConfig, chromosomes: Chromosomes, start: Path | None = None) -> str:
    """Return what identifies a training in names of folders.

    The sharpness is left out: it affects the export and not the weights.
    """
    learning = {key: value for key, value in asdict(config).items() if key != "sharpness"}
    found = sorted(set(chromosomes.report.tolist()))
    begun = {"start": file_sha256(start)} if start else {}
    shown = hashlib.sha256(np.ascontiguousarray(chromosomes.canvas).data).hexdigest()
    return digest({**learning, **begun, "found": found, "shown": shown, "sight": APPEARANCE_VERSION})[:8]


def read_all(config: EmbedderConfig, cache: Path, log: Log) -> Chromosomes:
    """Return the chromosomes of the available reports and images, and the simulated ones.

    Args:
        config: configuration with their names.
        cache: folder that keeps the chromosomes.
        log: receives lines of progress.
    """
    reports = available_reports(f"{name}.zip" for name in config.reports)
    parts = [read_report(report, cache, log=log) for report in reports]
    if config.simulated_cells:
        parts.append(read_simulated(config.simulated_cells, config.seed, cache, log=log))
    for name in config.labelled_images:
        if (folder := data_folder() / name).is_dir():
            labels = read_labels(folder, lambda case: split_of(case) == "learned")
            parts.append(read_labelled_images(labels, name, config.box_margins, cache=cache, log=log))
    if config.tiles and reports:
        parts.append(read_composed(reports, config.tiles, config.seed, cache=cache, log=log))
    return Chromosomes.concatenate(parts)


def _sampling_weights(chromosomes: Chromosomes, config: EmbedderConfig) -> NDArray[np.float64]:
    by_report = {**config.reports, **config.labelled_images}
    weights = np.array([by_report.get(report, config.nameless) for report in chromosomes.report.tolist()], float)
    weights[chromosomes.class_index < 0] = config.nameless
    return weights


def held_out_of(chromosomes: Chromosomes, folds: int, fold: int | None, without: str | None) -> NDArray[np.bool_]:
    """Return which chromosomes to hold out: whole cases, or a report; none of simulations.

    Args:
        chromosomes: all N chromosomes.
        folds: number of folds.
        fold: fold to hold out, or None.
        without: report to hold out, or None.

    Returns:
        (N,) mask.

    Raises:
        ValueError: there is no such fold or report.
    """
    real = ~np.isin(chromosomes.report, (SIMULATED, COMPOSED))
    if without is not None:
        if without not in set(chromosomes.report[real].tolist()):
            raise ValueError(f"there is no report {without!r} to leave out")
        chosen: NDArray[np.bool_] = real & (chromosomes.report == without)
        return chosen
    if fold is None:
        return np.zeros(len(chromosomes), bool)
    if not 0 <= fold < folds:
        raise ValueError(f"fold {fold} is not one of 0 to {folds - 1}")
    cases_held: set[str] = set()
    for report in set(chromosomes.report[real].tolist()):
        cases = np.unique(chromosomes.case[chromosomes.report == report])
        # Sorted by name, neighbours are often of one slide kit or month: a stride spreads them over the folds.
        cases_held |= set(cases[fold::folds].tolist())
    in_fold: NDArray[np.bool_] = real & np.isin(chromosomes.case, sorted(cases_held))
    return in_fold
