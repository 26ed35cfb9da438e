"""Names of people, and the refusal of a review that has not seen the last one."""

from __future__ import annotations

from db.schema import Review
from db.spelling import is_storable, normalise
from karyotyping.review import RefusedReview

MAX_NAME = 200  # characters


class ReviewConflict(RefusedReview):
    """A review on the basis of what another review has changed since; nothing is lost."""


def refuse_outdated(expected: int | None, last: int, review: Review | None, what: str) -> None:
    """Return if ``last`` is the last review that a person has seen.

    Args:
        expected: the last review that the person has seen, 0 for none; None if they do not say.
        last: the last review that there is, 0 for none.
        review: the row of ``last``.
        what: the analysis or the case, for the sentence.

    Raises:
        ReviewConflict: another review came in between.
    """
    if expected is None or expected == last:
        return
    if review is None:
        raise ReviewConflict(f"{what} has no review, and not {expected} as its last; read it again")
    raise ReviewConflict(
        f"{review.reviewer} has reviewed {what} since ({review.action}, review {last}); nothing was changed: "
        f"read it again, then repeat on the basis of review {last}"
    )


def parse_person(name: str) -> str:
    """Return a person's name in one spelling.

    Raises:
        RefusedReview: it is empty, too long or cannot be stored.

    >>> parse_person("  Ada  Lovelace ")
    'Ada Lovelace'
    """
    person = normalise(name)
    if not person or len(person) > MAX_NAME or not is_storable(person):
        raise RefusedReview(f"a reviewer has a name of 1 to {MAX_NAME} characters")
    return person
