"""Replay of corrections over the stored rows of a cell.

A number always means the same chromosome. A chromosome that a correction makes gets the next number that no correction
used, and an undone correction keeps the numbers it had.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Unpack, cast

import numpy as np
from pycocotools import mask as rle

from karyotyping.arrays import Mask
from karyotyping.case.cell import CellFacts, CellSummary
from karyotyping.chromosome.medial_axis import arc_length, largest_part, medial_axis
from karyotyping.model import decode_mask, encode_mask
from karyotyping.nomenclature.iscn import format_iscn, has_too_many
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
from karyotyping.review.regions import Box, draw_region
from karyotyping.rows import ChromosomeRow

_MIN_PIXELS = 12  # area of a chromosome


class RefusedReview(Exception):
    """A correction that does not fit the result; the message says why."""


@dataclass(frozen=True, slots=True)
class RecordedReview:
    """A correction with its number; numbers grow."""

    id: int
    correction: Correction


@dataclass(frozen=True, slots=True)
class ReviewedCell:
    """A cell after its corrections."""

    chromosomes: tuple[ChromosomeRow, ...]
    """In the order of their numbers, which are their ``ordinal``."""
    rejected: bool = False
    """Whether the whole cell is left out."""
    in_force: tuple[int, ...] = ()
    """Corrections that count, without comments, undone ones and undos."""
    corrected: frozenset[int] = frozenset()
    """Numbers of the present chromosomes that a correction made, named or turned."""
    boxes: frozenset[int] = frozenset()
    """Numbers of the chromosomes that a person drew as a box: their mask is no outline."""
    unexplained_objects: int | None = None
    """Objects that may be chromosomes, less one for each that a person added; None if not measured."""

    @property
    def class_counts(self) -> dict[int, int]:
        """Copies by class id, without absent classes."""
        return dict(Counter(row["class_id"] for row in self.chromosomes if row["class_id"] is not None))

    @property
    def unidentified(self) -> int:
        """Chromosomes without a class."""
        return sum(row["class_id"] is None for row in self.chromosomes)

    @property
    def iscn(self) -> str | None:
        """Karyotype as counted; None for a rejected cell, and for no chromosomes or too many."""
        counts, unidentified = self.class_counts, self.unidentified
        if self.rejected or not self.chromosomes or has_too_many(counts, unidentified=unidentified):
            return None
        return format_iscn(counts, unidentified=unidentified, unexplained=self.unexplained_objects or 0)

    def summary(self, analysis_id: int, quality_score: float, **facts: Unpack[CellFacts]) -> CellSummary:
        """Return the summary of the cell for its case; its quality is that of the image, 0..1.

        Class and outline of a corrected chromosome have no doubts.
        """
        classes = [
            (row["class_id"], row["class_score"], (), 1.0, "touching" in row["flags"])
            if row["ordinal"] in self.corrected
            else (row["class_id"], row["class_score"], likeliest, row["score"], "touching" in row["flags"])
            for row in self.chromosomes
            for likeliest in [tuple(zip(row["top5_classes"], row["top5_scores"], strict=True))]
        ]
        called = self.iscn is not None
        facts["unexplained_objects"] = self.unexplained_objects
        return CellSummary.of_classes(analysis_id, classes, quality_score=quality_score, called=called, **facts)


def replay(
    rows: Iterable[ChromosomeRow],
    shape: tuple[int, int],
    reviews: Sequence[RecordedReview],
    *,
    unexplained_objects: int | None = None,
) -> ReviewedCell:
    """Return a cell after its corrections.

    Args:
        rows: chromosomes of the pipeline's result: stored ones, or ``chromosome_rows`` of a ``CellAnalysis``.
        shape: (H, W) of the image in pixels.
        reviews: all corrections of the result, in order.
        unexplained_objects: objects of the image that may be chromosomes; None if not measured.

    Raises:
        RefusedReview: a correction names what is not there, or contradicts an earlier one.
    """
    undone = find_undone(reviews)
    cell = _Cell({row["ordinal"]: row for row in rows}, shape)
    for review in reviews:
        cell.begin(review)
        if review.id not in undone:
            cell.apply(review)
    return cell.finish(unexplained_objects)


def find_undone(reviews: Sequence[RecordedReview]) -> frozenset[int]:
    """Return the numbers of the corrections that an undo in force withdraws.

    Raises:
        RefusedReview: an undo names no earlier correction of the result, a comment, or one that is undone already.

    >>> reject, undo = Reject(chromosome=1), Undo(review=7)
    >>> sorted(find_undone([RecordedReview(7, reject), RecordedReview(8, undo), RecordedReview(9, Undo(review=8))]))
    [8]
    """
    undone: frozenset[int] = frozenset()
    by_id: dict[int, Correction] = {}
    for count, review in enumerate(reviews, start=1):
        if isinstance(undo := review.correction, Undo):
            target = by_id.get(undo.review)
            if target is None:
                raise RefusedReview(f"there is no review {undo.review} of this result to undo")
            if isinstance(target, Comment):
                raise RefusedReview(f"review {undo.review} is a comment, which changes nothing; write another")
            if undo.review in undone:
                raise RefusedReview(f"review {undo.review} is undone already")
            undone = _undone_at_the_end(reviews[:count])
        by_id[review.id] = review.correction
    return undone


def _undone_at_the_end(reviews: Sequence[RecordedReview]) -> frozenset[int]:
    """Return the corrections that an undo withdraws which no later undo withdraws."""
    undone: set[int] = set()
    for review in reversed(reviews):
        if isinstance(review.correction, Undo) and review.id not in undone:
            undone.add(review.correction.review)
    return frozenset(undone)


@dataclass(slots=True)
class _Cell:
    """State of a replay."""

    rows: dict[int, ChromosomeRow]
    shape: tuple[int, int]
    rejected_by: int | None = None
    in_force: list[int] = field(default_factory=list)
    corrected: set[int] = field(default_factory=set)
    boxes: set[int] = field(default_factory=set)
    added: int = 0
    removed_by: dict[int, int] = field(default_factory=dict)
    numbers: range = range(0)
    next_number: int = field(init=False)

    def __post_init__(self) -> None:
        self.next_number = max(self.rows, default=-1) + 1

    def begin(self, review: RecordedReview) -> None:
        """Reserve the numbers of the chromosomes that a correction makes, whether it counts or not."""
        match review.correction:
            case Split(parts=parts):
                made = len(parts)
            case Merge() | Add():
                made = 1
            case _:
                made = 0
        self.numbers = range(self.next_number, self.next_number + made)
        self.next_number += made

    def apply(self, review: RecordedReview) -> None:
        correction = review.correction
        if isinstance(correction, Comment | Undo):
            return
        if self.rejected_by is not None:
            raise RefusedReview(f"review {self.rejected_by} rejects the whole cell; undo that first")
        match correction:
            case Reclassify(chromosome=number, class_id=class_id):
                self._change(number, {**self._find(number), **_named(class_id)})
            case Flip(chromosome=number):
                self._change(number, _flipped(self._find(number)))
            case Reject(chromosome=number):
                self._remove(review, [number])
            case Split(chromosome=number, parts=parts):
                whole = self._mask(number)
                self._remove(review, [number])
                for new, part in zip(self.numbers, parts, strict=True):
                    self._draw(new, whole & draw_region(part.region, self.shape), part.class_id)
            case Merge(chromosomes=numbers, class_id=class_id):
                union = np.logical_or.reduce([self._mask(number) for number in numbers])
                self._remove(review, numbers)
                self._draw(self.numbers[0], union, class_id)
            case Add(part=part):
                self._draw(self.numbers[0], draw_region(part.region, self.shape), part.class_id)
                self.added += 1
                self.boxes |= {self.numbers[0]} if isinstance(part.region, Box) else set()
            case RejectCell():
                self.rejected_by = review.id
        self.in_force.append(review.id)

    def finish(self, unexplained_objects: int | None) -> ReviewedCell:
        present = self.rows.keys()
        return ReviewedCell(
            chromosomes=tuple(self.rows[number] for number in sorted(present)),
            rejected=self.rejected_by is not None,
            in_force=tuple(self.in_force),
            corrected=frozenset(self.corrected & present),
            boxes=frozenset(self.boxes & present),
            unexplained_objects=None if unexplained_objects is None else max(0, unexplained_objects - self.added),
        )

    def _find(self, number: int) -> ChromosomeRow:
        if number in self.rows:
            return self.rows[number]
        if number in self.removed_by:
            raise RefusedReview(f"chromosome {number} is gone since review {self.removed_by[number]}")
        raise RefusedReview(f"there is no chromosome {number} in this cell")

    def _mask(self, number: int) -> Mask:
        return decode_mask({"size": list(self.shape), "counts": self._find(number)["mask"]})

    def _change(self, number: int, row: object) -> None:
        self.rows[number] = cast("ChromosomeRow", row)
        self.corrected.add(number)

    def _remove(self, review: RecordedReview, numbers: Collection[int]) -> None:
        for number in numbers:
            self._find(number)
        for number in numbers:
            del self.rows[number]
            self.removed_by[number] = review.id

    def _draw(self, number: int, mask: Mask, class_id: int | None) -> None:
        if np.count_nonzero(mask) < _MIN_PIXELS:
            raise RefusedReview(f"a drawn region has fewer than {_MIN_PIXELS} pixels of the image or of its chromosome")
        self._change(number, _drawn_row(number, mask, class_id))


def _named(class_id: int | None) -> dict[str, object]:
    """Return the columns of the class that a person gives."""
    named = [] if class_id is None else [class_id]
    return {
        "class_id": class_id,
        "class_score": float(len(named)),
        "top5_classes": named,
        "top5_scores": [1.0] * len(named),
    }


def _flipped(row: ChromosomeRow) -> dict[str, object]:
    """Return a row whose other end is that of the p arm.

    The karyogram shows a chromosome of unknown orientation as found, so its upper end becomes that of the q arm. Its
    centromere index is that of the shorter arm, which stays the p arm.
    """
    known = row["orientation"] != "unknown"
    index = row["centromere_index"]
    return {
        **row,
        "orientation": "p_up" if row["orientation"] == "p_down" else "p_down",
        "centromere_index": 1.0 - index if known and index is not None else index,
    }


def _drawn_row(number: int, mask: Mask, class_id: int | None) -> ChromosomeRow:
    """Return the row of a drawn chromosome; without its image only its outline is measured."""
    lengths = encode_mask(mask)
    box = [int(side) for side in rle.toBbox({"size": lengths["size"], "counts": lengths["counts"].encode()})]
    x, y, width, height = box
    part = largest_part(mask[y : y + height, x : x + width])
    length = float(arc_length(medial_axis(part))[-1])
    return cast(
        "ChromosomeRow",
        {
            "ordinal": number,
            "box": box,
            "mask": lengths["counts"],
            **_named(class_id),
            "score": 1.0,
            "length": length,
            "width": np.count_nonzero(part) / length,
            "centromere_index": None,
            "orientation": "unknown",
            "embedding": None,
            "flags": [],
        },
    )
