"""Plan of a simulated case: karyotype and quality of each of its cells."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from karyotyping.nomenclature.cell_lines import CellLine, format_lines, parse_lines
from karyotyping.nomenclature.iscn import format_iscn, parse_iscn

T = TypeVar("T")
Copies = Mapping[int, int]
"""Copies by class id."""
_LINES, _QUALITIES = 1, 2  # last words of the seeds of both orders


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """Ranges of what a cell's quality consists of, as least and largest number."""

    touching: tuple[int, int] = (0, 0)
    overlapping: tuple[int, int] = (0, 0)
    nuclei: tuple[int, int] = (0, 3)
    debris: tuple[int, int] = (0, 15)
    lost: tuple[int, int] = (0, 0)
    """Chromosomes that the image lacks: the metaphase burst."""
    blur: float = 1.0
    """Factor of the microscope's usual blur."""


QUALITIES = {
    "good": Preparation(touching=(0, 3), overlapping=(0, 1), nuclei=(0, 2), debris=(0, 8)),
    "crowded": Preparation(touching=(8, 16), overlapping=(4, 10)),
    "poor": Preparation(touching=(2, 8), overlapping=(2, 6), debris=(10, 40), blur=2.0),
    "burst": Preparation(touching=(0, 3), overlapping=(0, 1), lost=(2, 12)),
}
"""Presets by name."""


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """Karyotype and quality of one cell."""

    copies: Copies
    preparation: Preparation
    quality: str | None = None
    """Name of the preset; None without a mix."""


@dataclass(frozen=True, slots=True)
class CasePlan:
    """Cells of one case, in the order of their images."""

    karyotype: str
    """Karyotype of the case; a mosaic has the numbers of planned cells."""
    cells: tuple[PlannedCell, ...]
    is_uniform: bool
    """Whether all cells have one karyotype, and no mix was stated."""


def plan_case(
    accession: str,
    karyotype: str,
    cells: int,
    *,
    seed: int,
    preparation: Preparation | None = None,
    mix: Mapping[str, float] | None = None,
) -> CasePlan:
    """Return the cells of a case, in an order that the seed and the accession decide.

    Args:
        accession: accession number.
        karyotype: of one line, such as ``47,XY,+21``, or of several, such as ``mos 47,XX,+8[12]/46,XX[8]``.
        cells: number of cells, at least 1.
        seed: seed of all cases.
        preparation: of all cells, without ``mix``.
        mix: shares of :data:`QUALITIES`, in any unit.

    Raises:
        ValueError: the karyotype is not valid, or a line has no cell.

    >>> plan_case("A", "mos 47,XX,+8[12]/46,XX[8]", 200, seed=1).karyotype
    'mos 47,XX,+8[120]/46,XX[80]'
    """
    lines = _read(karyotype)
    numbers = apportion([line.cells for line in lines], cells)
    for line, number in zip(lines, numbers, strict=True):
        if not number:
            raise ValueError(f"{cells} cells are too few for the share of {format_iscn(line.copies)} in {karyotype!r}.")
    entropy = (seed, zlib.crc32(accession.encode()), cells)
    copies = [line.copies for line, number in zip(lines, numbers, strict=True) for _ in range(number)]
    prepared: list[tuple[Preparation, str | None]] = [(preparation or Preparation(), None)] * cells
    if mix is not None:
        shares = apportion(list(mix.values()), cells)
        names = [name for name, number in zip(mix, shares, strict=True) for _ in range(number)]
        prepared = [(QUALITIES[name], name) for name in _shuffled(names, (*entropy, _QUALITIES))]
    ordered = _shuffled(copies, (*entropy, _LINES)) if len(lines) > 1 else copies
    planned = [replace(line, cells=number) for line, number in zip(lines, numbers, strict=True)]
    return CasePlan(
        format_lines(planned) if len(planned) > 1 else format_iscn(lines[0].copies),
        tuple(PlannedCell(own, kind, name) for own, (kind, name) in zip(ordered, prepared, strict=True)),
        is_uniform=len(lines) == 1 and mix is None,
    )


def parse_mix(text: str) -> dict[str, float]:
    """Return the shares of a mix of qualities by name.

    Raises:
        ValueError: ``text`` is no mix; the message says what is.

    >>> parse_mix("good=60,poor=10")
    {'good': 60.0, 'poor': 10.0}
    """
    mix: dict[str, float] = {}
    for part in text.split(","):
        name, separator, number = (word.strip() for word in part.partition("="))
        try:
            share = float(number)
        except ValueError:
            share = math.nan
        if not separator or name not in QUALITIES or name in mix or not 0 < share < math.inf:
            raise ValueError(
                f"{part.strip()!r} in the mix {text!r} is no quality with a share above 0, each named once, "
                f"such as good=60,poor=40; qualities are: {', '.join(QUALITIES)}."
            )
        mix[name] = share
    return mix


def apportion(shares: Sequence[float], total: int) -> list[int]:
    """Return whole numbers that add up to ``total``, by the largest remainder.

    Of equal remainders the first is the largest.

    Source: Hamilton's method, as in Balinski & Young 2001, "Fair representation", chapter 2.

    >>> apportion([12, 8], 7), apportion([1, 1, 1], 2)
    ([4, 3], [1, 1, 0])
    """
    quotas = [share * total / sum(shares) for share in shares]
    numbers = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda k: numbers[k] - quotas[k])
    for k in by_remainder[: total - sum(numbers)]:
        numbers[k] += 1
    return numbers


def burst(copies: Copies, lost: int, rng: np.random.Generator) -> dict[int, int]:
    """Return the copies that a burst metaphase keeps: ``lost`` chromosomes are missing.

    Each chromosome is as likely to be lost.

    Raises:
        ValueError: as many chromosomes are lost as there are, or more.
    """
    chromosomes = [class_id for class_id, number in sorted(copies.items()) for _ in range(number)]
    if lost >= len(chromosomes):
        raise ValueError(f"a cell of {len(chromosomes)} chromosomes cannot lose {lost}")
    kept = dict(copies)
    for place in rng.choice(len(chromosomes), lost, replace=False):
        kept[chromosomes[place]] -= 1
    return kept


def _read(karyotype: str) -> list[CellLine]:
    """Return the cell lines of a karyotype."""
    text = karyotype.strip()
    if "/" not in text and "[" not in text:
        return [CellLine(parse_iscn(text), 1)]
    lines = parse_lines(text)
    if not all(line.cells for line in lines):
        raise ValueError(f"{karyotype!r} has a cell line of no cells; [n] is a number above 0.")
    return lines


def _shuffled(items: Sequence[T], entropy: Sequence[int]) -> list[T]:
    return [items[k] for k in np.random.default_rng(entropy).permutation(len(items))]
