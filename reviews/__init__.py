"""Reviews of stored results: corrections, corrected cases, and sign-off."""

from karyotyping.review import RefusedReview
from reviews.case import CaseCell, CaseReview, read_case, read_cell
from reviews.conflict import ReviewConflict
from reviews.correct import CorrectedCell, correct, undo
from reviews.fingerprint import find_altered
from reviews.sign_off import sign

__all__ = [
    "CaseCell",
    "CaseReview",
    "CorrectedCell",
    "RefusedReview",
    "ReviewConflict",
    "correct",
    "find_altered",
    "read_case",
    "read_cell",
    "sign",
    "undo",
]
