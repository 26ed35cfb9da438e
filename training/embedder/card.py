"""The embedding network's model card, with the figures of its cross-validation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from karyotyping.classification.embedder import CLASSES, COLUMNS, ROWS, WAYS
from models.networks.embedder import DIMENSIONS
from training.common.card import licences, write_card
from training.embedder.losses import PROTOTYPES
from training.embedder.validate import HELD_OUT, accuracies

_FIGURES = ("isolated", "isolated_top5", "assigned", "polarity")
_NATURE = {
    "summary": "a straightened chromosome as a unit vector, and its scores for 24 classes either way up",
    "inputs": f"appearance float32 (N, 1, {ROWS}, {COLUMNS}): stain of a straightened chromosome, 0 outside of it",
    "outputs": f"embedding float32 (N, {DIMENSIONS}), unit vectors; scores float32 (N, {PROTOTYPES}), log-"
    f"probabilities up to a constant: {CLASSES} classes x {WAYS} ways up, then what is no chromosome; polarity "
    "float32 (N,), log-odds of p arm up",
}


def write_embedder_card(weights: Path, settings: Mapping[str, Any], reports: Sequence[str], chromosomes: int) -> None:
    """Write the card of the exported network; its figures are those of the folds that lie beside its folder."""
    facts = {
        "data": f"{chromosomes} single chromosomes of {', '.join(reports)}, and "
        f"{settings['simulated_cells']} simulated cells of 46",
        "licence": licences(reports),
        "command": "karyo train embedder",
        "seed": settings["seed"],
    }
    folds = sorted(weights.parent.parent.glob(f"fold-*-{weights.parent.name.rpartition('-')[2]}/{HELD_OUT}"))
    measured = cross_validated(folds)
    metrics = {
        f"{report}.{figure}".replace(".", "_"): found[figure]
        for report, found in measured.items()
        for figure in _FIGURES
        if figure in found
    }
    rows = [
        f"| {report} | {found['chromosomes']} | "
        + " | ".join(f"{100 * found[figure]:.2f} %" if figure in found else "" for figure in _FIGURES)
        + " |"
        for report, found in measured.items()
    ]
    text = _TEXT.format(folds=len(folds), of=settings["folds"])
    write_card(weights, {**_NATURE, **facts}, metrics, "\n".join([text, *rows]))


def write_adapted_card(
    weights: Path,
    settings: Mapping[str, Any],
    chromosomes: int,
    agreed: Mapping[str, float],
    start: Path,
) -> None:
    """Write the card of a network that adapted to photographs.

    Args:
        weights: beside which it is written.
        settings: a configuration like ``training/configs/adaptation.toml``.
        chromosomes: how many of the photographs were learnt from.
        agreed: share told alone to be what their cells take them for, before and after; empty if it was not measured.
        start: exported network that the training began with.
    """
    begun = hashlib.sha256(start.read_bytes()).hexdigest()
    facts = {
        "data": f"{chromosomes} chromosomes of photographs, named by their cells, and {settings['simulated_cells']} "
        f"simulated cells of 46; begun with the weights of sha256 {begun[:16]}",
        "licence": f"{licences(())}; photographs: those of their laboratory",
        "command": "karyo train embedder --photographs",
        "seed": settings["seed"],
    }
    metrics = {f"agreement_{when}": share for when, share in agreed.items()}
    write_card(weights, {**_NATURE, **facts}, metrics, _ADAPTED)


def cross_validated(folds: Sequence[Path]) -> dict[str, dict[str, float]]:
    """Accuracies by report over what the ``folds`` held out; every chromosome is told by the fold without it."""
    stored = [np.load(path) for path in folds]
    if not stored:
        return {}
    every = {name: np.concatenate([fold[name] for fold in stored]) for name in stored[0].files}
    return {
        report: accuracies(*(every[name][chosen] for name in ("joint", "class_index", "cell", "upright")))
        for report in sorted(set(every["report"].tolist()))
        if (chosen := every["report"] == report).any()
    }


_TEXT = """# Embedder

Deep metric learning after KaryoXpert (Chen et al. 2024, section 3.4): a convolutional vector and a banding vector
become a 128-dimensional unit vector, compared by cosine with the prototypes of the classes.

**Meant for** single chromosomes, straightened by `karyotyping.chromosome.measure` and scaled with their cell by
`karyotyping.classification.embedder`, of any banding that resembles G, Q or DAPI, bright-field or fluorescence.
**Not meant for** unbanded stain, R-bands, or species other than man.

Cross-validation by case, {folds} of {of} folds run: each chromosome is told by a network that saw no cell of its case.

| report | chromosomes | isolated | among the best five | assigned within the cell | p arm up |
| --- | --- | --- | --- | --- | --- |"""

_ADAPTED = """# Embedder, adapted

The embedding network after it has learnt from photographs of one laboratory in which nobody has named a chromosome:
what a whole cell took each for counted as true. **Meant for** that laboratory's stains; others may have become worse.
Its accuracy has not been measured, as no class is known. `agreement` is how often a chromosome by itself is told to be
what its cell takes it for, in cells that nothing was learnt from, before and after."""
