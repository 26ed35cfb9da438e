"""Cultures and colonies that the cells of a clone come from.

Cells of one colony descend from one cell, so in situ a clone counts by its colonies. Cells of one flask may descend
from one too: a change in a single culture may have arisen there (Hsu et al. 1992, Prenat Diagn 12:555-573).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from karyotyping.case.cell import CellSummary

CloneUnit = Literal["cell", "culture", "colony"]
"""What a clone counts by: its cells, its cells in more than one culture, or its colonies."""


def count_colonies(cells: Collection[CellSummary]) -> int:
    """Return the colonies of ``cells``; a cell without a recorded colony counts as one.

    A colony has the same name in another culture by chance.
    """
    recorded = {(cell.culture, cell.colony) for cell in cells if cell.colony is not None}
    return len(recorded) + sum(cell.colony is None for cell in cells)


def only_culture(cells: Collection[CellSummary]) -> str | None:
    """Return the culture that all ``cells`` are of; None for several or an unknown one."""
    cultures = {cell.culture for cell in cells}
    return cultures.pop() if len(cultures) == 1 else None
