"""Conditions of a called karyotype."""

from __future__ import annotations

from dataclasses import dataclass

from karyotyping.case.cultures import CloneUnit


@dataclass(frozen=True, slots=True)
class Rules:
    """Conditions of a called karyotype."""

    min_cells: int = 3
    """Complete cells that fit a clone."""
    min_mosaic_cells: int = 5
    """The same for a case of an abnormal clone and a normal one."""
    min_doubtful_cells: int = 10
    """The same for other cases of several clones, and for a single cell of a possible recurrent abnormality."""
    min_cells_with_single_gain: int = 30
    """The same for a single cell of a recurrent gain, however improbable: what is counted for mosaicism."""
    min_share: float = 0.25
    """Share of the called cells that are complete and fit a clone."""
    max_errors: int = 3
    """Chromosomes lost, extra or misread in a cell that fits a normal karyotype."""
    max_errors_of_abnormal: int = 1
    """The same where a clone is abnormal: what a laboratory does not expect, cells must show."""
    max_class_edits: float = 3.0
    """Expected chromosomes of a wrong class in a cell that fits: cells misread alike agree, and show no clone."""
    min_posterior: float = 0.95
    """Probability of the only clone of a case, and of a normal one."""
    min_mosaic_posterior: float = 0.99
    """Probability of each clone of a case with several."""
    possible: float = 0.005
    """Probability of an abnormality outside the karyotype above which a case is suspected, in two cells or more.

    Of a recurrent one that is all that departs in a cell it is the least that counts, in a case of few cells.
    """
    possible_single_gain: float = 0.0005
    """Probability of a recurrent gain from which one of ten cells or more asks for as many as mosaicism does."""
    likely: float = 0.5
    """The same for one cell."""
    cells_with_gain: int = 2
    cells_with_loss: int = 3
    two_losses_with_gain: bool = False
    """Whether two cells with a loss make a clone if they share a clonal gain; an option of the laboratory."""
    clone_unit: CloneUnit = "cell"
    """What a clone counts by."""
