"""Clones that the cells of a case suggest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from karyotyping.arrays import Ints
from karyotyping.case.cell import CellSummary
from karyotyping.case.changes import normal_copies, sex_of
from karyotyping.case.likelihood import copies_found
from karyotyping.nomenclature.classes import CLASS_COUNT, X
from karyotyping.nomenclature.iscn import ploidy_of

_NORMAL_SEXES = {2: ("XX", "XY"), 3: ("XXX", "XXY", "XYY"), 4: ("XXXX", "XXYY")}
_MAX_SEXES = 4  # sex complements, besides the normal ones
_MAX_CHANGES = 12  # autosomal changes that are tried alone
_MAX_PAIRED = 5  # autosomal changes that are tried in pairs
_MAX_KARYOTYPES = 10  # karyotypes as they were found


def suggest_clones(cells: Sequence[CellSummary]) -> list[Ints]:
    """Return candidate clones, the normal ones first, each once.

    Candidates are the normal karyotypes, and those of every sex complement found: without an autosomal change, with one
    of the commonest changes, and with two. The medians of the classes and the commonest karyotypes found are added.

    Args:
        cells: cells that are called.

    Returns:
        Arrays (24,) of copies by class.
    """
    found = [copies_found(cell)[:CLASS_COUNT] for cell in cells]
    clones = [normal_copies(sex) for sex in _NORMAL_SEXES[2]]
    for ploidy, sexes in _NORMAL_SEXES.items():
        members = [copies for copies in found if ploidy_of(int(copies.sum())) == ploidy]
        if members:
            clones += _at_level(members, ploidy, sexes)
    return list({copies.tobytes(): copies for copies in clones}.values())


def _at_level(found: Sequence[Ints], ploidy: int, normal_sexes: Sequence[str]) -> Iterator[Ints]:
    """Yield the candidates of one ploidy level."""
    by_sex = Counter(sex_of(copies) for copies in found if copies[X - 1])
    sexes = list(dict.fromkeys([*normal_sexes, *(sex for sex, _ in by_sex.most_common(_MAX_SEXES))]))
    changes = Counter((k, int(copies[k] - ploidy)) for copies in found for k in range(X - 1) if copies[k] != ploidy)
    common = [change for change, _ in changes.most_common(_MAX_CHANGES)]
    pairs = [pair for pair in combinations(common[:_MAX_PAIRED], 2) if pair[0][0] != pair[1][0]]
    for sex in sexes:
        for several in ((), *((one,) for one in common), *pairs):
            copies = normal_copies(sex, ploidy)
            for k, gain in several:
                copies[k] += gain
            yield copies
    yield np.median(found, axis=0).round().astype(np.int64)
    by_karyotype = Counter(copies.tobytes() for copies in found if copies[X - 1])
    for raw, _ in by_karyotype.most_common(_MAX_KARYOTYPES):
        yield np.frombuffer(raw, np.int64).copy()
