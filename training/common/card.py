"""Model cards: what a network is, what it was made from and how well it does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_LICENCES = {
    "pki3_gband": "Pki-3 G-banded chromosomes: public academic set, no terms stated",
    "padova_qband": "BioImLab (University of Padova) Q-banded chromosomes: public for research",
    "adir_dapi": "ADIR M-FISH image set 2000, single DAPI chromosomes: any use, with its licence",
}


def licences(reports: Iterable[str]) -> str:
    """The terms of the data behind a network: of the ideograms, and of these reports (names without a suffix)."""
    return "; ".join(["ideograms: public domain (NCBI)", *(_LICENCES.get(name, name) for name in reports)])


def write_card(weights: Path, facts: Mapping[str, Any], metrics: Mapping[str, float], text: str) -> None:
    """Write the card beside ``weights``: TOML front matter with the file's SHA-256, then ``text`` in Markdown."""
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in {**facts, "sha256": sha256}.items()]
    lines += ["", "[metrics]", *(f"{key} = {value}" for key, value in metrics.items())]
    weights.with_suffix(".md").write_text("\n".join(["+++", *lines, "+++", text, ""]), "utf-8")
