"""Model cards: what a network is, which data it was trained on, and its accuracy."""

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
    "tseng": "G-banded metaphases of Tseng et al. 2023, doi 10.1038/s41597-023-02003-7: open, to be cited",
}


def licences(reports: Iterable[str]) -> str:
    """Return the terms of the training data.

    Args:
        reports: names of the karyotype reports, without a suffix.

    >>> licences(["pki3_gband"])
    'ideograms: public domain (NCBI); Pki-3 G-banded chromosomes: public academic set, no terms stated'
    """
    return "; ".join(["ideograms: public domain (NCBI)", *(_LICENCES.get(name, name) for name in reports)])


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write_card(weights: Path, facts: Mapping[str, Any], metrics: Mapping[str, float], text: str) -> None:
    """Write the card of an ONNX file next to it, with the suffix ``.md``.

    Args:
        weights: ONNX file; its SHA-256 goes into the card.
        facts: ``models.registry.CARD_KEYS`` other than ``sha256`` and ``metrics``.
        metrics: figures by name.
        text: body of the card in Markdown.
    """
    lines = [
        f"{key} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in {**facts, "sha256": file_sha256(weights)}.items()
    ]
    lines += ["", "[metrics]", *(f"{key} = {value}" for key, value in metrics.items())]
    weights.with_suffix(".md").write_text("\n".join(["+++", *lines, "+++", text, ""]), "utf-8")
