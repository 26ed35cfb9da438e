"""The router's model card: what it is, what it was made from and how well it does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from karyotyping.segmentation.router import GEOMETRY, ROUTES, SIDE
from training.common.card import licences, write_card


def write_router_card(
    weights: Path, settings: dict[str, Any], reports: Sequence[str], measured: dict[str, Any], regions: int
) -> None:
    """Write the card of the exported router."""
    facts = {
        "summary": "what a region of a metaphase holds: " + ", ".join(ROUTES),
        "data": f"{regions} regions of {settings['fields']} simulated metaphases, drawn from ideograms or composed of "
        f"the single chromosomes of {', '.join(reports) or 'no report'}; no photograph of a metaphase",
        "licence": licences(Path(name).stem for name in reports),
        "command": "karyo train router",
        "seed": settings["seed"],
        "inputs": f"appearance float32 (N, 2, {SIDE}, {SIDE}): stain and mask; geometry float32 (N, {len(GEOMETRY)})",
        "outputs": f"probabilities float32 (N, {len(ROUTES)}), rows sum to 1",
    }
    rows = [
        f"| {name} | {measured['recall'][name]} | {measured['precision'][name]} | {sum(counts)} |"
        for name, counts in zip(ROUTES, measured["confusion"], strict=True)
    ]
    metrics = {name: measured[name] for name in ("accuracy", "mean_recall")}
    write_card(weights, facts, metrics, "\n".join([_TEXT, *rows]))


_TEXT = """# Router

Models 1 to 3 of KaryoXpert (Chen et al. 2024, section 3.3.2) in one small network: is a region of a metaphase a single
chromosome, a cluster, a chromosome with noise attached, noise, or (ours) only a part of a chromosome?

**Meant for** regions that `karyotyping.segmentation.contours` cuts out and `karyotyping.segmentation.router`
describes, dark-field or bright-field. **Not meant for** anything else: it has seen only simulated fields.

Whole cells of the reports, and the seeds of their fields, are held out; on those regions:

| route | recall | precision | regions |
| --- | --- | --- | --- |"""
