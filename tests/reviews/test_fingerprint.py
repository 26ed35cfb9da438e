"""Reviews and sign-offs are what their audit events say."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from karyotyping.review.corrections import Add, Comment, Flip, Part
from karyotyping.review.regions import Polygon
from reviews import find_altered
from tests.reviews.conftest import People


def altered(people: People) -> list[str]:
    with people.sessions() as session:
        return list(find_altered(session))


def fill(people: People) -> None:
    (first, *_) = people.case()
    outline = Polygon(points=((-0.0, 1e-7), (20.25, 0), (20, 70.125), (0, 70)))
    people.correct(first, Add(part=Part(region=outline)), by="Ada")
    people.correct(first, Comment(text="Zoë: 1 µm, naïve"))
    people.correct(first, Flip(chromosome=3))
    people.sign("Ada", karyotype="46,XX")
    people.sign("Bob")


def test_nothing_is_altered_at_first(people: People) -> None:
    assert altered(people) == []
    fill(people)
    assert altered(people) == []


@pytest.mark.parametrize(
    ("statement", "sentences"),
    [
        ("UPDATE karyo.reviews SET detail = '{\"chromosome\": 4}' WHERE id = 3", ["review 3 differs from event 3"]),
        (
            "UPDATE karyo.reviews SET created_at = created_at - interval '1 day' WHERE id = 2",
            ["review 2 differs from event 2"],
        ),
        (
            "UPDATE karyo.sign_offs SET iscn = '46,XY'",
            ["sign-off 1 differs from event 4", "sign-off 2 differs from event 5"],
        ),
        ("DELETE FROM karyo.reviews WHERE id = 1", ["review 1 of event 1 is missing"]),
        (
            "INSERT INTO karyo.reviews (case_id, analysis_id, follows, reviewer, action, detail) "
            "VALUES (1, 1, 3, 'eve', 'flip', '{\"chromosome\": 4}')",
            ["review 4 has no event"],
        ),
    ],
)
def test_what_was_altered_is_named(people: People, statement: str, sentences: list[str]) -> None:
    fill(people)
    with people.sessions.begin() as session:
        for table in ("reviews", "sign_offs"):
            session.execute(text(f"ALTER TABLE karyo.{table} DISABLE TRIGGER USER"))
        session.execute(text(statement))
    assert altered(people) == sentences
