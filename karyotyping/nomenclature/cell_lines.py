"""Karyotypes of several cell lines, as ``mos 47,XX,+21[8]/46,XX[12]`` (ISCN 2024, 4, 8).

The specimen decides how a sex chromosome is written. In a constitutional karyotype the complement is the one found:
``45,X`` and ``47,XXY``. In an acquired one it is that of the patient, with gains and losses: ``45,X,-Y`` and
``47,XX,+X``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from karyotyping.nomenclature.classes import CLASS_NAMES, X, Y, class_name
from karyotyping.nomenclature.iscn import parse_iscn, ploidy_of

_MAX_NEAR_HAPLOID_COUNT = 34  # chromosomes
_ORDER = (X, Y, *range(1, X))  # sex chromosomes first
_LINE = re.compile(r"(.+?)(?:\[(\d+)\])?")
_DERIVED = re.compile(r"(\d+),(idem|sl|sdl(\d+))((?:,[+-](?:\d+|X|Y))*)")

Relation = Literal["full", "idem", "sl"]
"""How a line derived from another is written: in full, by the stemline, or by stemline and sidelines."""


class Specimen(StrEnum):
    """What a karyotype describes."""

    CONSTITUTIONAL = "constitutional"
    """The patient, from birth."""
    ACQUIRED = "acquired"
    """A neoplasia."""


@dataclass(frozen=True, slots=True)
class CellLine:
    """Cells of one karyotype."""

    copies: Mapping[int, int]
    """By class id 1..24; absent classes count as zero."""
    cells: int

    @property
    def count(self) -> int:
        """Chromosomes of a cell."""
        return sum(self.copies.values())

    @property
    def is_normal(self) -> bool:
        """Whether the karyotype is 46,XX or 46,XY."""
        return not _changes(self, None) and self.count == 46 and _sex(self.copies) in ("XX", "XY")


def format_lines(
    lines: Sequence[CellLine],
    specimen: Specimen = Specimen.CONSTITUTIONAL,
    *,
    sex: str | None = None,
    relation: Relation = "full",
) -> str:
    """Format the karyotype of a case.

    The normal line is last. Constitutional lines are ordered by their cells. Acquired lines that are related follow
    each other by increasing complexity, and unrelated ones by their cells. The number of cells is left out for a single
    constitutional line.

    Args:
        lines: at least one.
        specimen: decides how sex chromosomes are written.
        sex: complement of the patient, XX or XY; by default taken from the lines, see :func:`reference_complement`.
        relation: how derived lines of an acquired karyotype are written.

    Raises:
        ValueError: no line.

    >>> trisomy, normal = parse_iscn("47,XX,+21"), parse_iscn("46,XX")
    >>> format_lines([CellLine(normal, 12), CellLine(trisomy, 8)])
    'mos 47,XX,+21[8]/46,XX[12]'
    >>> format_lines([CellLine(parse_iscn("45,X"), 5), CellLine(parse_iscn("46,XY"), 15)], Specimen.ACQUIRED)
    '45,X,-Y[5]/46,XY[15]'
    """
    if not lines:
        raise ValueError("A karyotype has at least one cell line.")
    if specimen == Specimen.CONSTITUTIONAL:
        ordered = sorted(lines, key=lambda line: (line.is_normal, -line.cells))
        texts = [_full(line, None) for line in ordered]
        if len(lines) == 1:
            return texts[0]
        prefix = "chi" if all(line.is_normal for line in lines) else "mos"
        return f"{prefix} " + "/".join(f"{text}[{line.cells}]" for text, line in zip(texts, ordered, strict=True))
    reference = sex or reference_complement(lines)
    ordered = _by_family(lines, reference)
    return "/".join(f"{_derived(ordered, k, reference, relation)}[{line.cells}]" for k, line in enumerate(ordered))


def format_composite(lines: Sequence[CellLine], *, sex: str | None = None) -> str:
    """Format related lines as one composite karyotype, with the cells of every change.

    >>> cells = ["47,XX,+8", "46,XX,-7,+8", "45,XX,-7"]
    >>> format_composite([CellLine(parse_iscn(text), 2) for text in cells])
    '45~47,XX,-7[4],+8[4][cp6]'
    """
    reference = sex or reference_complement(lines)
    cells: Counter[tuple[int, int]] = Counter()
    for line in lines:
        for change, times in Counter(_changes(line, reference)).items():
            for copy in range(times):
                cells[change[0], change[1] * (copy + 1)] += line.cells
    counts = [line.count for line in lines]
    number = str(counts[0]) if min(counts) == max(counts) else f"{min(counts)}~{max(counts)}"
    order = {class_id: place for place, class_id in enumerate(_ORDER)}
    named = [
        f"{'+' if sign > 0 else '-'}{class_name(class_id)}[{found}]"
        for (class_id, sign), found in sorted(cells.items(), key=lambda item: (order[item[0][0]], abs(item[0][1])))
    ]
    total = sum(line.cells for line in lines)
    return ",".join([number, reference or _sex(lines[0].copies), *named]) + f"[cp{total}]"


def reference_complement(lines: Sequence[CellLine]) -> str | None:
    """Return the sex complement of the patient as far as acquired lines show it.

    It is XY if any line has a Y, XX if any line has two X, and unknown if all have a single X.
    """
    if any(line.copies.get(Y, 0) for line in lines):
        return "XY"
    return "XX" if any(line.copies.get(X, 0) >= 2 for line in lines) else None


def parse_lines(text: str) -> list[CellLine]:
    """Parse what :func:`format_lines` writes; a line without a number has one cell.

    Raises:
        ValueError: ``text`` is no karyotype of whole chromosomes; the message names the faulty part.

    >>> [line.cells for line in parse_lines("47,XX,+8[5]/48,idem,+9[3]/46,XX[2]")]
    [5, 3, 2]
    """
    lines: list[CellLine] = []
    for part in text.removeprefix("mos ").removeprefix("chi ").split("/"):
        match = _LINE.fullmatch(part)
        if match is None:
            raise ValueError(f"{text!r} has an empty cell line.")
        lines.append(CellLine(_copies(match[1], lines), int(match[2] or 1)))
    return lines


def _copies(text: str, earlier: Sequence[CellLine]) -> dict[int, int]:
    """Return the copies of one line; ``earlier`` are those that it may be derived from."""
    derived = _DERIVED.fullmatch(text)
    if derived is None:
        number, _, rest = text.partition(",")
        level = f"<{_level(int(number))}n>" if number.isdigit() else ""
        return parse_iscn(f"{number}{level},{rest}")
    base = int(derived[3] or 0)
    if base >= len(earlier):
        raise ValueError(f"{text!r} refers to a cell line that does not precede it.")
    copies = Counter(earlier[base].copies)
    for change in derived[4].split(",")[1:]:
        if change[1:] not in CLASS_NAMES:
            raise ValueError(f"{change!r} in {text!r} is no chromosome gained or lost, such as +21 or -X.")
        copies[CLASS_NAMES.index(change[1:]) + 1] += 1 if change[0] == "+" else -1
    if sum(copies.values()) != int(derived[1]) or min(copies.values()) < 0:
        raise ValueError(
            f"{text!r} announces {derived[1]} chromosomes, but its parts add up to {sum(copies.values())}."
        )
    return {class_id: found for class_id, found in copies.items() if found}


def _level(count: int) -> int:
    return 1 if count <= _MAX_NEAR_HAPLOID_COUNT else ploidy_of(count)


def _sex(copies: Mapping[int, int]) -> str:
    return "X" * copies.get(X, 0) + "Y" * copies.get(Y, 0)


def _changes(line: CellLine, reference: str | None) -> list[tuple[int, int]]:
    """Return class and sign of copies gained or lost; sex chromosomes need a ``reference``."""
    level = _level(line.count)
    usual = dict.fromkeys(range(1, X), level)
    if reference is not None and level == 2:
        usual |= {X: reference.count("X"), Y: reference.count("Y")}
    changes: list[tuple[int, int]] = []
    for class_id in _ORDER:
        gained = line.copies.get(class_id, 0) - usual[class_id] if class_id in usual else 0
        changes += [(class_id, 1 if gained > 0 else -1)] * abs(gained)
    return changes


def _full(line: CellLine, reference: str | None) -> str:
    """Return a line without its number of cells."""
    level, changes = _level(line.count), _changes(line, reference)
    shown = dict(line.copies)
    if reference is not None and level == 2:  # a gained sex chromosome is named as a change
        shown |= {k: min(line.copies.get(k, 0), reference.count(class_name(k))) for k in (X, Y)}
    number = f"{line.count}<{level}n>" if level != 2 and changes else str(line.count)
    return ",".join([number, _sex(shown) or "?", *map(_signed, changes)])


def _signed(change: tuple[int, int]) -> str:
    return f"{'+' if change[1] > 0 else '-'}{class_name(change[0])}"


def _contains(line: CellLine, base: CellLine, reference: str | None) -> bool:
    """Return whether ``line`` has all changes of ``base``, an abnormal line, and more."""
    mine, others = Counter(_changes(line, reference)), Counter(_changes(base, reference))
    return bool(others) and _level(line.count) == _level(base.count) and others < mine


def _by_family(lines: Sequence[CellLine], reference: str | None) -> list[CellLine]:
    """Return acquired lines in order: families by size, members by complexity, normal last."""
    abnormal = sorted((line for line in lines if not line.is_normal), key=lambda one: len(_changes(one, reference)))
    families: list[list[CellLine]] = []
    for line in abnormal:
        family = next((one for one in families if any(_contains(line, base, reference) for base in one)), None)
        if family is None:
            families.append([line])
        else:
            family.append(line)
    families.sort(key=lambda family: -max(line.cells for line in family))
    return [*(line for family in families for line in family), *(line for line in lines if line.is_normal)]


def _derived(lines: Sequence[CellLine], number: int, reference: str | None, relation: Relation) -> str:
    """Return the text of a line, in terms of an earlier one if ``relation`` asks for it."""
    line = lines[number]
    candidates = {"full": 0, "idem": 1, "sl": number}[relation]
    bases = [k for k in range(min(candidates, number)) if _contains(line, lines[k], reference)]
    if not bases:
        return _full(line, reference)
    base = bases[-1]
    name = "idem" if relation == "idem" else f"sdl{base}" if base else "sl"
    changes: list[str] = []
    for class_id in _ORDER:
        gained = line.copies.get(class_id, 0) - lines[base].copies.get(class_id, 0)
        changes += [_signed((class_id, gained))] * abs(gained)
    return ",".join([str(line.count), name, *changes])
