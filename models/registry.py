"""Registry of weights: ONNX files by name and by digest, each with its model card."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WEIGHTS = Path(__file__).parent / "weights"

CARD_KEYS = frozenset({"summary", "sha256", "data", "licence", "command", "seed", "inputs", "outputs", "metrics"})
"""Required keys of a card's front matter."""

_FENCE = "+++\n"


class ModelUnavailable(Exception):
    """Weights that are missing or contradict their card; the message gives the remedy."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A trained network on disk."""

    name: str
    path: Path
    sha256: str
    """Digest of the file, hexadecimal: the network's identity in a pipeline document."""
    card: Mapping[str, Any]
    """Front matter of the model card, with at least ``CARD_KEYS``."""


def resolve(name: str, folder: Path = WEIGHTS) -> Weights:
    """Return the weights called ``name``: ``<name>.onnx`` with its card ``<name>.md``.

    Raises:
        ModelUnavailable: a file is missing, or the card is incomplete or of other weights.
    """
    path = folder / f"{name}.onnx"
    try:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        card = read_card(path.with_suffix(".md"))
    except OSError as problem:
        if path.exists():
            raise ModelUnavailable(f"{path} has no card: {path.stem}.md, next to it") from problem
        known = ", ".join(available(folder)) or "none"
        raise ModelUnavailable(f"no model {name!r} in {folder} (there: {known}); reinstall karyoflow") from problem
    if card["sha256"] != sha256:
        raise ModelUnavailable(
            f"{path} has sha256 {sha256}, its card says {card['sha256']}; reinstall karyoflow or export the model again"
        )
    return Weights(name, path, sha256, card)


def by_digest(sha256: str, folder: Path = WEIGHTS) -> Weights:
    """Return the weights whose file has this SHA-256, the reference of a pipeline document.

    Raises:
        ModelUnavailable: no weights in ``folder`` have it.
    """
    for name in available(folder):
        weights = resolve(name, folder)
        if weights.sha256 == sha256:
            return weights
    raise ModelUnavailable(
        f"no weights in {folder} have sha256 {sha256}; install the version of karyoflow that registered this pipeline"
    )


def available(folder: Path = WEIGHTS) -> list[str]:
    """Return the names of all weights in ``folder``, sorted."""
    return sorted(path.stem for path in folder.glob("*.onnx"))


def digests(folder: Path = WEIGHTS) -> list[str]:
    """Return the SHA-256 of all weights in ``folder`` that agree with their cards."""
    found = []
    for name in available(folder):
        with suppress(ModelUnavailable):
            found.append(resolve(name, folder).sha256)
    return found


def read_card(path: Path) -> dict[str, Any]:
    """Return the front matter of a model card: TOML between two lines ``+++``.

    Raises:
        ModelUnavailable: the front matter is absent, is not TOML or lacks one of ``CARD_KEYS``.
    """
    before, fence, rest = path.read_text("utf-8").partition(_FENCE)
    front_matter, closing, _ = rest.partition(_FENCE)
    try:
        card = tomllib.loads(front_matter) if fence and closing and not before else {}
    except tomllib.TOMLDecodeError as problem:
        raise ModelUnavailable(f"the front matter of {path} is not TOML: {problem}") from problem
    if missing := CARD_KEYS - card.keys():
        raise ModelUnavailable(f"the model card {path} does not state {', '.join(sorted(missing))}")
    return card


def digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256, hexadecimal, of a document as canonical JSON.

    Canonical JSON has sorted keys, no spaces, UTF-8 and no NaN.

    >>> digest({"b": 1, "a": [1.5, None]}) == digest({"a": [1.5, None], "b": 1})
    True

    Raises:
        ValueError: the document holds NaN or an infinity.
    """
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()
