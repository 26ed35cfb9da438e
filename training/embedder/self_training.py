"""The embedding network comes to know a laboratory's chromosomes, of which nobody has named one.

A cell tells more of its chromosomes than each tells of itself, as every class has about two of them. What its cell
takes a chromosome for counts as true, and the network learns to see it in the chromosome alone (self-training, Lee
2013, "Pseudo-Label"), beside chromosomes that are drawn from ideograms and so are surely what they are said to be.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from karyotyping.classification.assignment import Assignment, assign
from karyotyping.classification.embedder import EMBEDDER
from karyotyping.classification.prediction import Prediction
from karyotyping.image.decode import ImageRejected, decode
from karyotyping.pipeline import Pipeline
from models.registry import digest, resolve
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
from training.embedder.loop import Batches, Settings, fit
from training.embedder.synthetic import read_simulated
from training.embedder.validate import predict_cells

Say = Callable[[str], None]
_SURE = 0.5
"""Least probability of a class, given the cell, that is taken as true."""
_STANDING = 0.9
"""Least probability that a chromosome stands upright, or on its head, that is taken as true."""
_ASIDE = 5
"""Every so manieth cell is not learnt from, and tells afterwards what was learnt."""
_WORTH = 0.05
"""Least rise of the agreement in those where something was gained; where nothing was it rose by .038 at most."""


def adapt(config: Path, out: Path, photographs: Sequence[Path], say: Say = print, start: Path | None = None) -> Path:
    """Adapt the network to photographs of metaphases: see ``adapt_to``.

    Args:
        config: TOML like ``training/configs/adaptation.toml``.
        out: folder for what was read, and in a folder of its own each configuration's result.
        photographs: what is no photograph, or shows no chromosomes, is left out, and said.
        say: told of each photograph and of the training.
        start: exported network to begin with; by default the one that karyoflow comes with.

    Returns:
        The exported file.

    Raises:
        ValueError: none of the photographs shows chromosomes, or ``start`` is another kind of network.
    """
    settings = tomllib.loads(config.read_text("utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    unnamed = read_images(photographs, out, say)
    return adapt_to(unnamed, settings, out, say, start or resolve(EMBEDDER).path)


def adapt_to(unnamed: Chromosomes, settings: dict[str, Any], out: Path, say: Say, start: Path) -> Path:
    """Adapt the network in ``start`` to the chromosomes of whole cells; their classes are not looked at.

    Interrupted, it goes on from its last checkpoint. Of every fifth cell nothing is learnt: the card says how often one
    of its chromosomes by itself is told to be what its cell takes it for, before and after.

    Raises:
        training.common.onnx_export.ExportDiffers: the exported file disagrees with the network.
        ValueError: ``start`` is another kind of network, or cells are sure of nothing with it.
    """
    aside = np.isin(unnamed.cell, np.unique(unnamed.cell)[_ASIDE - 1 :: _ASIDE])
    named = pseudo_label(start, unnamed[~aside])
    if not len(named):
        raise ValueError("the cells are sure of none of their chromosomes: the network knows too little to begin with")
    drawn = read_simulated(settings["simulated_cells"], settings["seed"], out, say=say)
    say(f"{len(named)} of {len(unnamed) - aside.sum()} chromosomes are what their cells take them for; learning these")
    told = settings["told"]
    weights = np.concatenate([np.full(len(named), told / len(named)), np.full(len(drawn), (1 - told) / len(drawn))])
    shown = Chromosomes.concatenate([named, drawn])
    folder = out / f"adapted-{digest({**settings, 'sight': APPEARANCE_VERSION, 'shown': _sha256(start, unnamed)})[:8]}"
    folder.mkdir(exist_ok=True)
    how = Settings.of(settings)
    trained = fit(Batches(shown, weights, how), how, folder, say, start)
    weights_file = export_embedder(trained, how.scale * settings["sharpness"], folder, shown)
    agreed = {}
    if aside.any():
        agreed = {"before": agreement(start, unnamed[aside]), "after": agreement(weights_file, unnamed[aside])}
    say(_verdict(agreed))
    write_adapted_card(weights_file, settings, len(named), agreed, start)
    return weights_file


def _verdict(agreed: Mapping[str, float]) -> str:
    if not agreed:
        return f"fewer than {_ASIDE} cells: none was left aside, so compare by eye what was learnt"
    gained = agreed["after"] - agreed["before"]
    advice = "the network knows them better" if gained >= _WORTH else "too little: keep the network that you have"
    return (
        f"in cells aside, {agreed['before']:.1%} of the chromosomes by themselves were told to be what their cell "
        f"takes them for, {agreed['after']:.1%} are now: {advice}"
    )


def read_images(files: Sequence[Path], cache: Path, say: Say) -> Chromosomes:
    """The chromosomes that karyoflow finds in photographs, each photograph a cell, without classes (-1).

    What was found is kept in ``cache`` file by file.

    Raises:
        ValueError: there are none.
    """
    pipeline = Pipeline.default()
    parts: dict[Path, Chromosomes] = {}
    for number, file in enumerate(files, start=1):
        data = file.read_bytes()
        # Names repeat between folders, and what is found depends on the segmenter.
        cell = digest({"photograph": hashlib.sha256(data).hexdigest(), "pipeline": pipeline.digest})[:16]
        stored = cache_path(cache, f"photograph-{cell}")
        if not stored.is_file():
            try:
                found = pipeline.measure(decode(data).pixels)
            except ImageRejected as problem:
                say(f"{file.name}: {problem.sentence}")
                continue
            if not found:
                say(f"{file.name}: nothing in it looks like a chromosome")
                continue
            rows = [ReportRow(f"{cell}/{k}", -1, False, cell, cell) for k in range(len(found))]
            save_chromosomes(stored, draw_canvases(rows, found), "photographs")
            say(f"{number} of {len(files)}: {len(found)} chromosomes in {file.name}")
        if stored not in parts:  # the same photograph under another name is no other cell
            parts[stored] = load_chromosomes(stored)
    if not parts:
        raise ValueError("none of the photographs shows chromosomes: there is nothing to adapt to")
    return Chromosomes.concatenate(list(parts.values()))


def pseudo_label(weights: Path, unnamed: Chromosomes) -> Chromosomes:
    """Those that their cells are sure of, with the classes that these take them for, turned p arm up where that is
    known."""
    canvas, class_index = unnamed.canvas.copy(), np.full(len(unnamed), -1)
    upright = np.zeros(len(unnamed), bool)
    for k, (one, assigned) in enumerate(_told_by(weights, unnamed)):
        if assigned.class_id is None or assigned.score <= _SURE:
            continue
        up = one.p_up(assigned.class_id)
        if up < 1 - _STANDING:
            canvas[k] = canvas[k, ::-1]
        class_index[k], upright[k] = assigned.class_id - 1, max(up, 1 - up) > _STANDING
    return replace(unnamed, canvas=canvas, class_index=class_index, upright=upright)[class_index >= 0]


def agreement(weights: Path, unnamed: Chromosomes) -> float:
    """Share of chromosomes that by themselves are told to be what their cell takes them for."""
    told = _told_by(weights, unnamed)
    return round(float(np.mean([one.top5[0][0] == assigned.class_id for one, assigned in told])), 4)


def _told_by(weights: Path, unnamed: Chromosomes) -> list[tuple[Prediction, Assignment]]:
    """What is said of each chromosome by itself, and within its cell."""
    said = predict_cells(weights, unnamed)
    assigned: dict[int, Assignment] = {}
    for cell in np.unique(unnamed.cell):
        members = np.flatnonzero(unnamed.cell == cell).tolist()
        together = assign([said[k].log_probabilities for k in members], [1 - said[k].unknown for k in members])
        assigned.update(zip(members, together, strict=True))
    return [(one, assigned[k]) for k, one in enumerate(said)]


def _sha256(start: Path, unnamed: Chromosomes) -> str:
    found = hashlib.sha256(start.read_bytes())
    found.update(np.ascontiguousarray(unnamed.canvas).data)
    return found.hexdigest()
