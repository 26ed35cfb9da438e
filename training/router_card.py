"""The router's model card: what it is, what it was made from and how well it does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from karyotyping.routing import GEOMETRY, ROUTES, SIDE

_LICENCES = {
    "pki3_gband.zip": "Pki-3 G-banded chromosomes: public academic set, no terms stated",
    "padova_qband.zip": "BioImLab (University of Padova) Q-banded chromosomes: public for research",
}


def write_card(
    path: Path, settings: dict[str, Any], reports: Sequence[str], measured: dict[str, Any], regions: int
) -> None:
    """Write the card of ``router.onnx``, which lies beside ``path``, with TOML front matter."""
    sha256 = hashlib.sha256(path.with_suffix(".onnx").read_bytes()).hexdigest()
    licences = ["ideograms: public domain (NCBI)", *(_LICENCES.get(name, name) for name in reports)]
    front_matter = {
        "summary": "what a region of a metaphase holds: " + ", ".join(ROUTES),
        "sha256": sha256,
        "data": f"{regions} regions of {settings['fields']} simulated metaphases, drawn from ideograms or composed of "
        f"the single chromosomes of {', '.join(reports) or 'no report'}; no photograph of a metaphase",
        "licence": "; ".join(licences),
        "command": "karyo train router",
        "seed": settings["seed"],
        "inputs": f"appearance float32 (N, 2, {SIDE}, {SIDE}): stain and mask; geometry float32 (N, {len(GEOMETRY)})",
        "outputs": f"probabilities float32 (N, {len(ROUTES)}), rows sum to 1",
    }
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in front_matter.items()]
    lines += ["", "[metrics]", f"accuracy = {measured['accuracy']}", f"mean_recall = {measured['mean_recall']}"]
    rows = [
        f"| {name} | {measured['recall'][name]} | {measured['precision'][name]} | {sum(counts)} |"
        for name, counts in zip(ROUTES, measured["confusion"], strict=True)
    ]
    path.write_text("\n".join(["+++", *lines, "+++", _TEXT, *rows, ""]), "utf-8")


_TEXT = """# Router

Models 1 to 3 of KaryoXpert (Chen et al. 2024, section 3.3.2) in one small network: is a region of a metaphase a single
chromosome, a cluster, a chromosome with noise attached, noise, or (ours) only a part of a chromosome?

**Meant for** regions that `karyotyping.contours` cuts out and `karyotyping.routing` describes, dark-field or
bright-field. **Not meant for** anything else: it has seen no photograph, only simulated fields.

Whole cells of the reports, and the seeds of their fields, are held out; on those regions:

| route | recall | precision | regions |
| --- | --- | --- | --- |"""
