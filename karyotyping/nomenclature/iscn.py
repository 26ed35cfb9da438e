"""Numerical karyotypes such as ``47,XY,+21`` (ISCN 2020, chapters 4 and 8).

A numerical karyotype gives the count, the sex chromosomes, and the gains and losses of whole chromosomes. Gains and
losses are relative to the ploidy level of the count: diploid up to 57 chromosomes, triploid up to 80, tetraploid above.
Low counts stay diploid, because broken cells are far more frequent than haploid ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from karyotyping.nomenclature.classes import CLASS_NAMES, X, Y, class_name

NOT_CALLED = "not called"
"""Text in place of the karyotype of an image that is no metaphase."""

_AUTOSOMES = range(1, X)
_MAX_DIPLOID_COUNT, _MAX_TRIPLOID_COUNT = 57, 80  # chromosomes
_MAX_DEPARTURES = 4  # copies gained and lost in a triploid or tetraploid cell, over all classes
_POLYPLOID_COUNTS = (range(66, 73), range(88, 97))  # chromosomes of triploid and of tetraploid cells
_MAX_COUNT = 50  # chromosomes of one cell that is not polyploid
_NUMBER = re.compile(r"(\d{1,3})(?:<(\d)n>)?")
_SEX = re.compile(r"X*Y*|\?")
_CHANGE = re.compile(r"([+-])(\d{1,2}|X|Y)")
_MARKER = re.compile(r"\+(\d{0,2})mar")


def format_iscn(
    class_counts: Mapping[int, int], *, unidentified: int = 0, markers: bool = False, unexplained: int = 0
) -> str:
    """Format the numerical karyotype of a cell.

    Args:
        class_counts: copies by class id (1..24); absent classes count as zero.
        unidentified: chromosomes without a class; they count, and ``inc`` marks the karyotype as incomplete.
        markers: whether unidentified chromosomes are marker chromosomes, written ``+mar`` instead of ``inc``.
        unexplained: objects of the image that may be chromosomes; with them a karyotype that lacks one is ``inc``.

    Raises:
        ValueError: a class id outside 1..24, or a negative count.

    >>> normal = {**dict.fromkeys(range(1, 23), 2), 23: 1, 24: 1}
    >>> format_iscn(normal), format_iscn({**normal, 21: 3}), format_iscn({**normal, 24: 0})
    ('46,XY', '47,XY,+21', '45,X')
    """
    for class_id, copies in class_counts.items():
        if not 1 <= class_id <= len(CLASS_NAMES) or copies < 0:
            raise ValueError(
                f"{copies} copies of class {class_id} make no karyotype: classes are 1..24, copies 0 or more"
            )
    total = sum(class_counts.values()) + unidentified
    ploidy = ploidy_of(total)
    sex = "X" * class_counts.get(X, 0) + "Y" * class_counts.get(Y, 0)
    changes: list[str] = []
    for class_id in _AUTOSOMES:
        gain = class_counts.get(class_id, 0) - ploidy
        changes += [f"{'+' if gain > 0 else '-'}{class_id}"] * abs(gain)
    if unidentified and markers:
        changes.append(f"+{unidentified if unidentified > 1 else ''}mar")
    unnamed = 0 if markers else unidentified
    if is_incomplete(class_counts, unidentified=unnamed, unexplained=unexplained):
        changes.append("inc")
    number = f"{total}<{ploidy}n>" if ploidy != 2 and changes else str(total)
    return ",".join([number, sex or "?", *changes])


def usual_copies(class_counts: Mapping[int, int], *, unidentified: int = 0) -> dict[int, int]:
    """Return by class id the copies that are neither a gain nor a loss.

    The ploidy level follows the count as in :func:`format_iscn`; each Y replaces one X.

    Args:
        class_counts: copies by class id in the cell.
        unidentified: chromosomes without a class.

    >>> usual_copies({23: 2})[23], usual_copies({23: 2, 24: 1})[23], usual_copies({23: 1, 24: 2})[24]
    (2, 1, 1)
    """
    ploidy = ploidy_of(sum(class_counts.values()) + unidentified)
    y_copies = min(class_counts.get(Y, 0), ploidy - 1)
    return dict.fromkeys(_AUTOSOMES, ploidy) | {X: ploidy - y_copies, Y: y_copies}


def is_incomplete(class_counts: Mapping[int, int], *, unidentified: int = 0, unexplained: int = 0) -> bool:
    """Return whether a cell may have a chromosome that its karyotype lacks: ``inc``.

    That is a chromosome without a class. An object that may be a chromosome counts where a class lacks copies.

    Args:
        class_counts: copies by class id in the cell.
        unidentified: chromosomes without a class.
        unexplained: objects of the image that may be chromosomes, and are none in the result.

    >>> lacking = {**dict.fromkeys(range(1, 23), 2), 23: 1}
    >>> is_incomplete(lacking), is_incomplete(lacking, unexplained=1), is_incomplete({**lacking, 23: 2}, unexplained=1)
    (False, True, False)
    """
    usual = usual_copies(class_counts, unidentified=unidentified)
    lacks = any(class_counts.get(class_id, 0) < copies for class_id, copies in usual.items())
    return unidentified > 0 or (unexplained > 0 and lacks)


def is_polyploid(class_counts: Mapping[int, int], *, unidentified: int = 0) -> bool:
    """Return whether the copies are those of a triploid or tetraploid cell.

    All chromosomes are identified, and at most four copies are gained or lost. Debris and several cells in one image
    fill the classes unevenly.

    Args:
        class_counts: copies by class id in the cell.
        unidentified: chromosomes without a class.

    >>> is_polyploid(parse_iscn("69,XXY")), is_polyploid(parse_iscn("92<4n>,XXXXY,-1,-2,-3,+4,+5"))
    (True, False)
    """
    if unidentified or not any(sum(class_counts.values()) in counts for counts in _POLYPLOID_COUNTS):
        return False
    usual = usual_copies(class_counts)
    return sum(abs(class_counts.get(class_id, 0) - copies) for class_id, copies in usual.items()) <= _MAX_DEPARTURES


def has_too_many(class_counts: Mapping[int, int], *, unidentified: int = 0) -> bool:
    """Return whether there are too many chromosomes for one cell that is not polyploid.

    Args:
        class_counts: copies by class id.
        unidentified: chromosomes without a class.

    >>> has_too_many({1: 30, 2: 21}), has_too_many({1: 30, 2: 20})
    (True, False)
    """
    count = sum(class_counts.values()) + unidentified
    return count > _MAX_COUNT and not is_polyploid(class_counts, unidentified=unidentified)


def parse_iscn(text: str) -> dict[int, int]:
    """Parse a numerical karyotype into copies by class id, without markers and absent classes.

    A gained sex chromosome may be written as a gain (``47,XX,+X``). A lost one is already absent from the sex
    complement: ``45,X,-Y`` has one X and no Y.

    Raises:
        ValueError: ``text`` is no numerical karyotype; the message names the faulty part.

    >>> parse_iscn("47,XXY")[23], parse_iscn("45,XX,-13").get(13)
    (2, 1)
    """
    number_text, _, rest = text.replace(" ", "").partition(",")
    sex_text, *changes = rest.split(",")
    number = _NUMBER.fullmatch(number_text)
    if number is None:
        raise ValueError(f"{text!r} does not begin with a chromosome number, as 46,XX does.")
    if not sex_text or _SEX.fullmatch(sex_text) is None:
        raise ValueError(f"{text!r} has no sex complement such as XX, XY or X after the number (? if there is none).")
    total = int(number[1])
    ploidy = int(number[2]) if number[2] else ploidy_of(total)
    counts = dict.fromkeys(_AUTOSOMES, ploidy) | {X: sex_text.count("X"), Y: sex_text.count("Y")}
    markers, incomplete = 0, False
    for change in changes:
        if marker := _MARKER.fullmatch(change):
            markers += int(marker[1] or 1)
        elif change == "inc":
            incomplete = True
        else:
            _apply(counts, change, text)
    named = sum(counts.values()) + markers
    if named != total and not (incomplete and named < total):
        raise ValueError(f"{text!r} announces {total} chromosomes, but its parts add up to {named}.")
    return {class_id: copies for class_id, copies in counts.items() if copies}


def _apply(counts: dict[int, int], change: str, text: str) -> None:
    match = _CHANGE.fullmatch(change)
    if match is None or match[2] not in CLASS_NAMES:
        raise ValueError(
            f"{change!r} in {text!r} is not a whole chromosome gained or lost, such as +21 or -X; "
            "structural changes and mosaics are not supported."
        )
    class_id = CLASS_NAMES.index(match[2]) + 1
    if match[1] == "+":
        counts[class_id] += 1
    elif class_id in _AUTOSOMES:
        counts[class_id] -= 1
        if counts[class_id] < 0:
            raise ValueError(f"{text!r} loses more copies of chromosome {class_name(class_id)} than there are.")


def ploidy_of(total: int) -> int:
    """Return the ploidy level of a chromosome count: 2, 3 or 4.

    >>> ploidy_of(46), ploidy_of(69), ploidy_of(92)
    (2, 3, 4)
    """
    return 2 if total <= _MAX_DIPLOID_COUNT else 3 if total <= _MAX_TRIPLOID_COUNT else 4
