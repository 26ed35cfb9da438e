"""Reviews: a person's corrections of a cell's analysis, and their replay over it."""

from karyotyping.review.corrections import Correction, parse_correction, to_detail
from karyotyping.review.replay import RecordedReview, RefusedReview, ReviewedCell, replay

__all__ = [
    "Correction",
    "RecordedReview",
    "RefusedReview",
    "ReviewedCell",
    "parse_correction",
    "replay",
    "to_detail",
]
