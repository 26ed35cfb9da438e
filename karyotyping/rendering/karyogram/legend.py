"""Labels of a chromosome on the karyogram, and their legend."""

from __future__ import annotations

from collections.abc import Sequence

from karyotyping.model import MIN_CLASS_SCORE, Chromosome, ChromosomeFlag, Orientation
from karyotyping.nomenclature.classes import class_name
from karyotyping.nomenclature.ideogram import bands

_LETTERS: dict[ChromosomeFlag, str] = {
    "atypical_banding": "d",
    "bent": "b",
    "cut_by_border": "c",
    "overlapped": "o",
    "touching": "t",
    "uncertain": "u",
}
_MEANINGS: dict[ChromosomeFlag, str] = {
    "atypical_banding": "differs from its homolog or class, see the bar",
    "bent": "bent",
    "cut_by_border": "cut by the border",
    "overlapped": "overlapped",
    "touching": "touching another",
    "uncertain": "outline uncertain",
}
_UNKNOWN_ORIENTATION = "p?"
_ORIENTATIONS: dict[Orientation, str] = {
    "p_up": "p arm up",
    "p_down": "p arm up",
    "unknown": "which arm is up is not known",
}
"""Orientation on the page, where chromosomes with the p arm down are rotated."""
_TO_CHECK = ", to check"


def needs_check(chromosome: Chromosome) -> bool:
    """Return whether a person should check the class of ``chromosome``."""
    return chromosome.class_id is not None and chromosome.class_score < MIN_CLASS_SCORE


def score_label(chromosome: Chromosome) -> str:
    """Return the class score in percent, rounded down; without a class the most probable one."""
    if chromosome.class_id is not None:
        return f"{int(100 * chromosome.class_score + 1e-6)}"
    return f"{class_name(chromosome.top5[0][0])}?" if chromosome.top5 else "?"


def flag_label(chromosome: Chromosome) -> str:
    """Return a letter for every flag, and ``p?`` for an unknown orientation."""
    letters = "".join(letter for flag, letter in _LETTERS.items() if flag in chromosome.flags)
    return " ".join(filter(None, [letters, _UNKNOWN_ORIENTATION if chromosome.orientation == "unknown" else ""]))


def description(chromosome: Chromosome) -> str:
    """Return class, alternatives, length, orientation and flags of ``chromosome`` in sentences."""
    ranked = ", ".join(f"{class_name(class_id)} {100 * share:.1f} %" for class_id, share in chromosome.top5)
    if chromosome.class_id is None:
        name = "Not identified."
    else:
        name = (
            f"Chromosome {chromosome.label}, {100 * chromosome.class_score:.1f} %{_TO_CHECK * needs_check(chromosome)}."
        )
    return " ".join(
        [
            name,
            *([f"Alone: {ranked}."] if ranked else []),
            f"{chromosome.length:.0f} px long, {_ORIENTATIONS[chromosome.orientation]}.",
            *(f"{meaning.capitalize()}." for flag, meaning in _MEANINGS.items() if flag in chromosome.flags),
            *([f"Most at {place}."] if (place := atypical_bands(chromosome)) else []),
        ]
    )


def atypical_bands(chromosome: Chromosome) -> str | None:
    """Return the bands at which a flagged chromosome differs; None without the flag."""
    found = chromosome.atypical
    if found is None or chromosome.class_id is None or "atypical_banding" not in chromosome.flags:
        return None
    own = [one.name for one in bands(chromosome.class_id, 400) if one.stop > found.start and one.start < found.stop]
    return "-".join(dict.fromkeys((own[0], own[-1])))


def legend(chromosomes: Sequence[Chromosome], some_missing: bool) -> list[str]:
    """Return the meanings of the labels on the page of ``chromosomes``.

    Args:
        chromosomes: chromosomes on the page.
        some_missing: whether the page has outlines of missing chromosomes.
    """
    meanings = ["Figures: probability of the class, %"] if any(c.class_id for c in chromosomes) else []
    if any(needs_check(item) for item in chromosomes):
        meanings.append(f"framed: below {100 * MIN_CLASS_SCORE:.0f} %, to check")
    if some_missing:
        meanings.append("dashed: missing")
    flags = {flag for item in chromosomes for flag in item.flags}
    meanings += [f"{_LETTERS[flag]}: {meaning}" for flag, meaning in _MEANINGS.items() if flag in flags]
    if any(item.orientation == "unknown" for item in chromosomes):
        meanings.append(f"{_UNKNOWN_ORIENTATION}: {_ORIENTATIONS['unknown']}")
    return meanings
