"""What a karyogram says about a chromosome in a few signs, and what the signs mean."""

from __future__ import annotations

from collections.abc import Sequence

from karyotyping.model import Chromosome, ChromosomeFlag, Orientation
from karyotyping.nomenclature.classes import class_name

UNSURE_CLASS = 0.8
"""Class score below which a class is to be checked; two look-alikes that might be swapped have half of it each."""

_LETTERS: dict[ChromosomeFlag, str] = {
    "bent": "b",
    "cut_by_border": "c",
    "overlapped": "o",
    "touching": "t",
    "uncertain": "u",
}
_MEANINGS: dict[ChromosomeFlag, str] = {
    "bent": "bent",
    "cut_by_border": "cut by the border",
    "overlapped": "overlapped",
    "touching": "touching another",
    "uncertain": "outline uncertain",
}
_WHICH_ARM = "p?"
_POSTURES: dict[Orientation, str] = {
    "p_up": "p arm up",
    "p_down": "p arm up",
    "unknown": "which arm is up is not known",
}
"""How a chromosome stands on the page; one that stood p arm down has been turned."""
_TO_CHECK = ", to check"


def is_unsure(chromosome: Chromosome) -> bool:
    """Whether a person should look at the class of ``chromosome``."""
    return chromosome.class_id is not None and chromosome.class_score < UNSURE_CLASS


def figure(chromosome: Chromosome) -> str:
    """Class score in whole percent, rounded down so that only certainty is 100; the likeliest class if it fits none."""
    if chromosome.class_id is not None:
        return f"{int(100 * chromosome.class_score + 1e-6)}"
    return f"{class_name(chromosome.top5[0][0])}?" if chromosome.top5 else "?"


def notes(chromosome: Chromosome) -> str:
    """A letter for every flag; ``p?`` if nobody knows which arm is up."""
    letters = "".join(letter for flag, letter in _LETTERS.items() if flag in chromosome.flags)
    return " ".join(filter(None, [letters, _WHICH_ARM if chromosome.orientation == "unknown" else ""]))


def spoken(chromosome: Chromosome) -> str:
    """What is known about ``chromosome``, in sentences."""
    ranked = ", ".join(f"{class_name(class_id)} {100 * share:.1f} %" for class_id, share in chromosome.top5)
    if chromosome.class_id is None:
        name = "Not identified."
    else:
        name = (
            f"Chromosome {chromosome.label}, {100 * chromosome.class_score:.1f} %{_TO_CHECK * is_unsure(chromosome)}."
        )
    return " ".join(
        [
            name,
            *([f"Alone: {ranked}."] if ranked else []),
            f"{chromosome.length:.0f} px long, {_POSTURES[chromosome.orientation]}.",
            *(f"{meaning.capitalize()}." for flag, meaning in _MEANINGS.items() if flag in chromosome.flags),
        ]
    )


def explained(chromosomes: Sequence[Chromosome], some_missing: bool) -> list[str]:
    """What the signs on the page of ``chromosomes`` mean."""
    meanings = ["Figures: probability of the class, %"] if any(c.class_id for c in chromosomes) else []
    if any(is_unsure(item) for item in chromosomes):
        meanings.append(f"framed: below {100 * UNSURE_CLASS:.0f} %, to check")
    if some_missing:
        meanings.append("dashed: missing")
    flags = {flag for item in chromosomes for flag in item.flags}
    meanings += [f"{_LETTERS[flag]}: {meaning}" for flag, meaning in _MEANINGS.items() if flag in flags]
    if any(item.orientation == "unknown" for item in chromosomes):
        meanings.append(f"{_WHICH_ARM}: {_POSTURES['unknown']}")
    return meanings
