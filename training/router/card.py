"""Model card of the router."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from karyotyping.segmentation.router import GEOMETRY, ROUTES, SIDE
from training.common.card import licences, write_card
from training.configs.router import RouterConfig
from training.router.metrics import RouterMetrics


def write_router_card(
    weights: Path, config: RouterConfig, reports: Sequence[str], metrics: RouterMetrics, regions: int
) -> None:
    """Write the card of the exported router.

    Args:
        weights: ONNX file.
        config: configuration of the training.
        reports: file names of the karyotype reports that were available.
        metrics: metrics on the held-out regions.
        regions: number of regions trained on.
    """
    facts = {
        "summary": "what a region of a metaphase image contains: " + ", ".join(ROUTES),
        "data": f"{regions} regions of {config.fields} simulated metaphases, drawn from ideograms or composed of "
        f"the single chromosomes of {', '.join(reports) or 'no report'}; no real metaphase image",
        "licence": licences(Path(name).stem for name in reports),
        "command": "karyo train router",
        "seed": config.seed,
        "inputs": f"appearance float32 (N, 2, {SIDE}, {SIDE}): stain and mask; geometry float32 (N, {len(GEOMETRY)})",
        "outputs": f"probabilities float32 (N, {len(ROUTES)}), rows sum to 1",
    }
    rows = [
        f"| {name} | {metrics['recall'][name]} | {metrics['precision'][name]} | {sum(counts)} |"
        for name, counts in zip(ROUTES, metrics["confusion"], strict=True)
    ]
    figures = {"accuracy": metrics["accuracy"], "mean_recall": metrics["mean_recall"]}
    write_card(weights, facts, figures, "\n".join([_TEXT, *rows]))


_TEXT = """# Router

Models 1 to 3 of KaryoXpert (Chen et al. 2024, section 3.3.2) in one small network. It classifies a region of a
metaphase image: single chromosome, cluster, chromosome with noise attached, noise, or (our addition) a part of a
chromosome.

**Meant for** regions that `karyotyping.segmentation.contours` cuts out and `karyotyping.segmentation.router`
describes, dark-field or bright-field. **Not meant for** anything else: it was trained on simulated metaphases only.

Accuracy on held-out regions: whole cells of the reports, and the seeds of the simulated metaphases, are held out.

| route | recall | precision | regions |
| --- | --- | --- | --- |"""
