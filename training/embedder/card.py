"""Model cards of the embedding network, with the accuracies of its cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from karyotyping.classification.embedder import COLUMNS, ORIENTATION_COUNT, ROWS
from karyotyping.nomenclature.classes import CLASS_COUNT
from models.networks.embedder import DIMENSIONS
from training.common.card import file_sha256, licences, write_card
from training.configs.embedder import AdaptationConfig, EmbedderConfig
from training.embedder.losses import PROTOTYPES
from training.embedder.validate import HELD_OUT, accuracies

_FIGURES = ("isolated", "isolated_top5", "assigned", "polarity")
_INTERFACE = {
    "summary": "a straightened chromosome as a unit vector, and its scores for 24 classes either way up",
    "inputs": f"appearance float32 (N, 1, {ROWS}, {COLUMNS}): stain of a straightened chromosome, 0 outside of it",
    "outputs": f"embedding float32 (N, {DIMENSIONS}), unit vectors; scores float32 (N, {PROTOTYPES}), log-"
    f"probabilities up to a constant: {CLASS_COUNT} classes x {ORIENTATION_COUNT} ways up, then what is no chromosome; "
    "polarity float32 (N,), log-odds of p arm up",
}


def write_embedder_card(
    weights: Path, config: EmbedderConfig, reports: Sequence[str], chromosomes: int, start: Path | None = None
) -> None:
    """Write the card of a trained network, with the accuracies of its cross-validation.

    Args:
        weights: ONNX file; the folders of the folds are next to its folder.
        config: configuration of the training.
        reports: names of the karyotype reports that were available.
        chromosomes: number of real chromosomes trained on.
        start: exported network that the training started from.
    """
    started = f"; started from the weights of sha256 {file_sha256(start)[:16]}" if start else ""
    facts = {
        "data": f"{chromosomes} single chromosomes of {', '.join(reports)}, and "
        f"{config.simulated_cells} simulated cells of 46{started}",
        "licence": licences(reports),
        "command": "karyo train embedder" + " --start FILE" * bool(start),
        "seed": config.seed,
    }
    run = weights.parent.name.rpartition("-")[2]
    folds = sorted(weights.parent.parent.glob(f"fold-*-{run}/{HELD_OUT}"))
    by_report = cross_validate(folds)
    metrics = {
        f"{report}.{figure}".replace(".", "_"): measured[figure]
        for report, measured in by_report.items()
        for figure in _FIGURES
        if figure in measured
    }
    rows = [
        f"| {report} | {measured['chromosomes']} | "
        + " | ".join(f"{100 * measured[figure]:.2f} %" if figure in measured else "" for figure in _FIGURES)
        + " |"
        for report, measured in by_report.items()
    ]
    text = _TEXT.format(folds=len(folds), of=config.folds)
    write_card(weights, {**_INTERFACE, **facts}, metrics, "\n".join([text, *rows]))


def write_adapted_card(
    weights: Path, config: AdaptationConfig, chromosomes: int, agreements: Mapping[str, float], start: Path
) -> None:
    """Write the card of a network that was adapted to metaphase images.

    Args:
        weights: ONNX file.
        config: configuration of the adaptation.
        chromosomes: number of chromosomes of the images that were learned from.
        agreements: the agreement ``before`` and ``after``; empty without held-out cells.
        start: exported network that the adaptation started from.
    """
    facts = {
        "data": f"{chromosomes} chromosomes of metaphase images, labelled by their cells, and {config.simulated_cells} "
        f"simulated cells of 46; started from the weights of sha256 {file_sha256(start)[:16]}",
        "licence": f"{licences(())}; metaphase images: those of their laboratory",
        "command": "karyo train embedder --photographs",
        "seed": config.seed,
    }
    metrics = {f"agreement_{when}": share for when, share in agreements.items()}
    write_card(weights, {**_INTERFACE, **facts}, metrics, _ADAPTED_TEXT)


def cross_validate(folds: Sequence[Path]) -> dict[str, dict[str, float]]:
    """Return the accuracies by report over the held-out chromosomes of all folds.

    Args:
        folds: files ``HELD_OUT`` of the folds.
    """
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
**Not meant for** unbanded stain, R-bands, or species other than human.

Cross-validation by case, {folds} of {of} folds run: each chromosome is classified by a network that was trained without
its case.

| report | chromosomes | isolated | among the best five | assigned within the cell | p arm up |
| --- | --- | --- | --- | --- | --- |"""

_ADAPTED_TEXT = """# Embedder, adapted

The embedding network after self-training on unlabelled metaphase images of one laboratory: the class that a chromosome
was assigned within its cell was its label. **Meant for** the stains of that laboratory; it may be less accurate on
others. Its accuracy has not been measured, as the classes are unknown. `agreement` is the share of chromosomes whose
own prediction agrees with the assignment of their cell, in held-out cells, before and after."""
