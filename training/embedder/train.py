"""Train the embedding network and export it: ``karyo train embedder``."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.registry import digest
from training.embedder.card import write_embedder_card
from training.embedder.checkpoint import export_embedder
from training.embedder.data import APPEARANCE_VERSION, Chromosomes, read_report
from training.embedder.loop import Batches, Settings, fit
from training.embedder.synthetic import SIMULATED, read_simulated
from training.embedder.validate import measure_held_out

Say = Callable[[str], None]


def train(config: Path, out: Path, say: Say = print, *, fold: int | None = None, without: str | None = None) -> Path:
    """Read the reports, train, export ``embedder.onnx``; measure it on what was held out, if anything was.

    Interrupted, it goes on from its last checkpoint.

    Args:
        config: TOML like ``training/configs/embedder.toml``; its reports lie in the folder that ``KARYO_TEST_DATA``
            names. Those that are not there are left out, and the card says so.
        out: folder for what was read, and in folders of their own the checkpoint and result of each run.
        say: told of each step.
        fold: hold this part of the cases of every report out.
        without: hold this report out as a whole.

    Returns:
        The exported file.

    Raises:
        training.common.onnx_export.ExportDiffers: the exported file disagrees with the network.
        ValueError: there is no such fold or report.
    """
    settings = tomllib.loads(config.read_text("utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    chromosomes = read_all(settings, out, say)
    held_out = held_out_of(chromosomes, settings["folds"], fold, without)
    name = "whole" if fold is None and without is None else f"fold-{fold}" if without is None else f"without-{without}"
    folder = out / f"{name}-{fingerprint(settings, chromosomes)}"
    folder.mkdir(exist_ok=True)
    seen = chromosomes[~held_out]
    share = {report: settings["reports"].get(report, 1.0) for report in set(seen.report.tolist())}
    weights = np.array([share[report] for report in seen.report.tolist()])
    how = Settings.of(settings)
    trained = fit(Batches(seen, weights, how), how, folder, say)
    weights_file = export_embedder(trained, how.scale * settings["sharpness"], folder, seen)
    if held_out.any():
        measured = measure_held_out(weights_file, chromosomes[held_out], folder)
        say(json.dumps(measured))
    else:
        reports = sorted(set(chromosomes.report.tolist()) - {SIMULATED})
        write_embedder_card(weights_file, settings, reports, int((chromosomes.report != SIMULATED).sum()))
    return weights_file


def fingerprint(settings: dict[str, Any], chromosomes: Chromosomes) -> str:
    """What tells one configuration from another in names of folders; how the weights are exported does not count."""
    learning = {key: value for key, value in settings.items() if key != "sharpness"}
    found = sorted(set(chromosomes.report.tolist()))
    return digest({**learning, "found": found, "sight": APPEARANCE_VERSION})[:8]


def read_all(settings: dict[str, Any], out: Path, say: Say) -> Chromosomes:
    """Every report that is there, and the simulated one."""
    folder = Path(os.environ.get("KARYO_TEST_DATA", "."))
    found = [folder / f"{name}.zip" for name in settings["reports"] if (folder / f"{name}.zip").is_file()]
    parts = [read_report(report, out, say=say) for report in found]
    if settings["simulated_cells"]:
        parts.append(read_simulated(settings["simulated_cells"], settings["seed"], out, say=say))
    return Chromosomes.concatenate(parts)


def held_out_of(chromosomes: Chromosomes, folds: int, fold: int | None, without: str | None) -> NDArray[np.bool_]:
    """(N,) which chromosomes training must not see: whole cases, or a whole report. Simulated ones never are.

    Raises:
        ValueError: there is no such fold or report.
    """
    real = chromosomes.report != SIMULATED
    if without is not None:
        if without not in set(chromosomes.report.tolist()) - {SIMULATED}:
            raise ValueError(f"there is no report {without!r} to leave out")
        chosen: NDArray[np.bool_] = real & (chromosomes.report == without)
        return chosen
    if fold is None:
        return np.zeros(len(chromosomes), bool)
    if not 0 <= fold < folds:
        raise ValueError(f"fold {fold} is not one of 0 to {folds - 1}")
    held: set[str] = set()
    for report in set(chromosomes.report[real].tolist()):
        cases = np.unique(chromosomes.case[chromosomes.report == report])
        held |= set(cases[fold::folds].tolist())  # sorted by name, neighbours of one slide kit or month are spread
    in_fold: NDArray[np.bool_] = real & np.isin(chromosomes.case, sorted(held))
    return in_fold
