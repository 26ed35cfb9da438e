"""Factories of chromosomes and cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from karyotyping.model import CellAnalysis, Chromosome, Quality, encode_mask
from karyotyping.nomenclature.iscn import format_iscn

MakeChromosome = Callable[..., Chromosome]
MakeCell = Callable[..., CellAnalysis]

_MASK = encode_mask(np.ones((4, 4), dtype=np.bool_))


def _chromosome(class_id: int | None, *, size: tuple[int, int] = (40, 12), **changes: Any) -> Chromosome:
    height, width = size
    straightened = np.full((height, width + 8), 255, np.uint8)
    straightened[:, 4:-4] = 200
    straightened[: height // 2, 4:-4] = 0
    values: dict[str, Any] = {
        "ordinal": 0,
        "box": (0, 0, width, height),
        "mask": _MASK,
        "score": 0.95,
        "class_id": class_id,
        "class_score": 0.0 if class_id is None else 0.9,
        "top5": ((class_id or 7, 0.9), (18, 0.1)),
        "length": float(height),
        "width": float(width),
        "centromere_index": None,
        "orientation": "p_up",
        "straightened": straightened,
        "profile": np.zeros(64, np.float32),
    }
    return Chromosome(**values | changes)


def _cell(chromosomes: Sequence[Chromosome], **changes: Any) -> CellAnalysis:
    items = tuple(replace(item, ordinal=ordinal) for ordinal, item in enumerate(chromosomes))
    known = [item.class_id for item in items if item.class_id is not None]
    quality = Quality(len(items), "dark_on_light", 0.1, 0.5, 0.0, 0.0, 2.0, 12.0, 0, 0, 0, 0, 0, 0, 0.9, 0.83)
    values: dict[str, Any] = {
        "shape": (4, 4),
        "chromosomes": items,
        "quality": quality,
        "iscn": format_iscn({n: known.count(n) for n in known}, unidentified=len(items) - len(known)),
    }
    return CellAnalysis(**values | changes)


@pytest.fixture
def chromosome() -> MakeChromosome:
    """Return a factory of chromosomes of 40 by 12 pixels, black above and pale below."""
    return _chromosome


@pytest.fixture
def cell() -> MakeCell:
    """Return a factory of cells from chromosomes, numbered in order."""
    return _cell


@pytest.fixture
def pairs() -> list[Chromosome]:
    """Return two of each autosome, and XX."""
    return [_chromosome(n) for n in range(1, 24) for _ in range(2)]
