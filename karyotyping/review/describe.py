"""Corrections as sentences for people."""

from __future__ import annotations

from karyotyping.nomenclature.classes import class_name
from karyotyping.review.corrections import (
    Add,
    Comment,
    Correction,
    Flip,
    Merge,
    Reclassify,
    Reject,
    RejectCell,
    Split,
    Undo,
)


def describe(correction: Correction) -> str:
    """Return what a correction does, in a few words.

    >>> describe(Reclassify(chromosome=3, class_id=23)), describe(Merge(chromosomes=(1, 2)))
    ('chromosome 3 is X', 'chromosomes 1, 2 are one')
    """
    match correction:
        case Reclassify(chromosome=number, class_id=class_id):
            return f"chromosome {number} is {class_name(class_id)}"
        case Reject(chromosome=number):
            return f"{number} is no chromosome"
        case Split(chromosome=number, parts=parts):
            return f"chromosome {number} is {len(parts)}: {', '.join(class_name(part.class_id) for part in parts)}"
        case Merge(chromosomes=numbers, class_id=class_id):
            name = "" if class_id is None else f", {class_name(class_id)}"
            return f"chromosomes {', '.join(map(str, numbers))} are one{name}"
        case Flip(chromosome=number):
            return f"chromosome {number} is upside down"
        case Add(part=part):
            return f"a chromosome is missing: {class_name(part.class_id)}"
        case RejectCell():
            return "the cell is left out"
        case Undo(review=review):
            return f"review {review} is withdrawn"
        case Comment(text=text):
            return text
