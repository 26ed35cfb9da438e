"""What a person must check before a case report is relied on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from karyotyping.model import MIN_CLASS_SCORE
from karyotyping.nomenclature.classes import class_name
from reports.case_report.document import Cell


def sentences_to_check(
    cells: Sequence[Cell],
    unexplained: Collection[int],
    not_examined: Sequence[str],
    atypical: Mapping[int, Sequence[int]],
    *,
    enough_cells: bool,
    stale: bool,
    in_production: bool,
) -> Iterator[str]:
    """Yield what a person must check, a sentence each.

    Args:
        cells: all images of the case.
        unexplained: numbers of the cells that no clone explains.
        not_examined: kinds of abnormality that numbers of chromosomes do not show.
        atypical: cells in which a class differs from its homolog or from normal ones, where that recurs.
        enough_cells: whether the case has the cells that the policy asks for.
        stale: whether analyses have ended since the result was made.
        in_production: whether the pipeline of the result analyses new images.
    """
    if stale:
        yield "Analyses of this case have ended since this result: wait for the next result and write the report again."
    if not in_production:
        yield "The pipeline of this result is not the one in production."
    if not enough_cells:
        yield "The case has fewer cells than the policy asks for."
    if unexplained:
        yield f"No clone explains {_cells(unexplained)}."
    yield from _counts(cells)
    if without := ranges(cell.number for cell in cells if cell.state != "done"):
        yield f"Images without a result: {without}."
    for class_id, found in atypical.items():
        yield f"Chromosome {class_name(class_id)} differs from its homolog or from normal ones in {_cells(found)}."
    if not_examined:
        yield f"Not examined: {', '.join(not_examined)}."
    if unknown := [cell.number for cell in cells if cell.state == "done" and cell.band_level is None]:
        yield f"The band level is unknown in {_cells(unknown)}."


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers in increasing order, runs of three or more shortened.

    >>> ranges([5, 1, 2, 3, 8, 9])
    '1-3, 5, 8, 9'
    """
    parts: list[str] = []
    for _, run in groupby(enumerate(sorted(set(numbers))), key=lambda item: item[1] - item[0]):
        values = [number for _, number in run]
        parts += [f"{values[0]}-{values[-1]}"] if len(values) > 2 else map(str, values)
    return ", ".join(parts)


def _counts(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield what single cells leave open, with the number of objects and the cells."""
    rows = (
        ("Objects that may be chromosomes and are none in the result", [cell.unexplained_objects for cell in cells]),
        ("Chromosomes without a class", [cell.unidentified for cell in cells]),
        (f"Chromosomes whose class is below {100 * MIN_CLASS_SCORE:.0f} % probable", [cell.to_check for cell in cells]),
    )
    for name, counts in rows:
        found = {cell.number: count for cell, count in zip(cells, counts, strict=True) if count}
        if found:
            yield f"{name}: {sum(found.values())}, in {_cells(found)}."
    if unmeasured := [cell.number for cell in cells if cell.state == "done" and cell.unexplained_objects is None]:
        yield f"Unexplained objects were not measured in {_cells(unmeasured)}."


def _cells(numbers: Collection[int]) -> str:
    return f"{'cell' if len(numbers) == 1 else 'cells'} {ranges(numbers)}"
