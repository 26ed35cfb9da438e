"""Sign-off by one person or two."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from db import audit, erasure, reporting
from db.pipelines import set_alias
from db.schema import Case, SignOff
from karyotyping.review import RefusedReview
from karyotyping.review.corrections import Comment, Flip, Reclassify, Reject
from reviews import ReviewConflict, sign
from tests.reviews.conftest import People, classes


def reported(people: People) -> dict[str, Any]:
    with people.sessions() as session:
        columns, (row,) = reporting.fetch(session, "signed_results")
    return dict(zip(columns, row, strict=True))


def test_two_persons_sign_a_case_and_the_report_shows_it(people: People) -> None:
    ids = people.case(classes=classes((40, 22)))
    for analysis_id in ids:
        people.correct(analysis_id, Reclassify(chromosome=40, class_id=21))
    first = people.sign("Ada")
    assert (first.position, first.required, first.iscn, people.state()) == (1, 2, "46,XX", "first_signed")
    second = people.sign("Bob")
    assert (second.position, second.first_reader, second.analysis_ids, people.state()) == (2, "Ada", ids, "signed")
    row = reported(people)
    assert (row["state"], row["iscn"], row["cells"], row["corrections"]) == ("signed", "46,XX", 3, 3)
    assert (row["first_reader"], row["second_reader"], row["pipeline"]) == ("Ada", "Bob", "first")
    with people.sessions() as session:
        assert [event.detail["position"] for event in audit.list_events(session, "case.signed")] == [1, 2]


def test_one_person_signs_where_the_policy_asks_for_one(people: People) -> None:
    people.case()
    assert people.sign("Ada", required=1).position == 1
    assert people.state() == "signed"
    assert reported(people)["second_reader"] is None


@pytest.mark.parametrize("name", ["Ada", " ada ", "ADA"])
def test_the_second_reader_is_not_the_first(people: People, name: str) -> None:
    people.case()
    people.sign("Ada")
    with pytest.raises(RefusedReview, match="Ada has signed case A-1 already; the second reader is another person"):
        people.sign(name)
    assert people.state() == "first_signed"


def test_a_signed_case_is_not_signed_again(people: People) -> None:
    people.case()
    people.sign("Ada")
    people.sign("Bob")
    with pytest.raises(RefusedReview, match="is signed already, by Ada and Bob; a correction opens it again"):
        people.sign("Cleo")


def test_a_later_correction_opens_the_case_again(people: People) -> None:
    ids = people.case()
    people.sign("Ada")
    people.sign("Bob")
    assert people.correct(ids[0], Comment(text="fine")).reopened is None
    assert people.state() == "signed"
    done = people.correct(ids[0], Reject(chromosome=0))
    assert done.reopened is not None
    assert (done.reopened.reader, people.state(), reported(people)["state"]) == ("Bob", "reopened", "reopened")
    assert people.correct(ids[1], Flip(chromosome=0)).reopened is None
    with people.sessions() as session:
        assert len(audit.list_events(session, "case.reopened")) == 1
    assert people.sign("Bob").position == 1
    assert people.sign("Ada").position == 2
    assert people.state() == "signed"


def test_a_correction_between_the_readers_makes_both_sign_again(people: People) -> None:
    (analysis_id, *_) = people.case()
    people.sign("Ada")
    people.correct(analysis_id, Flip(chromosome=0))
    assert people.sign("Bob").position == 1
    assert people.state() == "first_signed"


def test_another_image_opens_the_case_again(people: People) -> None:
    people.case()
    people.sign("Ada", required=1)
    people.case(cells=1)
    assert people.state() == "reopened"


def test_a_promotion_leaves_the_signed_result(people: People) -> None:
    people.case()
    people.sign("Ada", required=1)
    other = people.laboratory.pipeline("second")
    with people.sessions.begin() as session:
        set_alias(session, "production", other)
    people.analyse(people.images(), other, classes((0, 8)))
    assert (people.state(), reported(people)["iscn"], reported(people)["pipeline"]) == ("signed", "46,XX", "first")
    people.sign("Ada", required=1, karyotype="46,XX,-1,+8")
    assert (reported(people)["iscn"], reported(people)["pipeline"]) == ("46,XX,-1,+8", "second")


def test_superseded_results_are_not_signed(people: People) -> None:
    people.case()
    other = people.laboratory.pipeline("second", alias="production")
    people.analyse(people.images(), other)
    old = next(cell.result.pipeline for cell in people.read().cells)
    assert old.id == other
    with people.sessions() as session:
        first = session.get_one(type(old), people.pipeline)
    with pytest.raises(RefusedReview, match=r"results of pipeline first .* are superseded by those of second"):
        people.sign("Ada", pipeline=first)


def test_an_unfinished_case_is_not_signed(people: People) -> None:
    people.case()
    people.laboratory.images(2)
    with pytest.raises(RefusedReview, match="2 images of case A-1 have no result of pipeline first"):
        people.sign("Ada")


def test_a_case_without_a_karyotype_needs_a_stated_one(people: People) -> None:
    people.case(cells=2, classes=classes((0, None)))
    with pytest.raises(RefusedReview, match=r"case A-1 has no karyotype: .* 2 cells called, and 3 are needed"):
        people.sign("Ada")
    assert people.sign("Ada", karyotype=" 46,XX,t(1;2)(p36;q37) ").iscn == "46,XX,t(1;2)(p36;q37)"
    with pytest.raises(RefusedReview, match=r"Ada has signed 46,XX,t\(1;2\)\(p36;q37\), and not 46,XX"):
        people.sign("Bob", karyotype="46,XX")
    assert people.sign("Bob").iscn == "46,XX,t(1;2)(p36;q37)"


def test_who_has_not_seen_the_last_correction_does_not_sign(people: People) -> None:
    (analysis_id, *_) = people.case()
    last = people.correct(analysis_id, Flip(chromosome=0), by="Bob").review.id
    with pytest.raises(ReviewConflict, match=r"Bob has reviewed case A-1 since \(flip, review 1\)"):
        people.sign("Ada", expected=0)
    assert people.sign("Ada", expected=last).last_review_id == last


def test_two_persons_at_once_are_first_and_second(people: People) -> None:
    people.case()
    names = iter(["Ada", "Bob"])
    rows = people.laboratory.at_once(2, lambda: people.sign(next(names)))
    assert sorted(row.position for row in rows) == [1, 2]
    assert {row.reader for row in rows} == {"Ada", "Bob"}
    assert people.state() == "signed"


def test_one_person_at_once_in_two_windows_signs_once(people: People) -> None:
    people.case()

    def work() -> str:
        try:
            return str(people.sign("Ada").position)
        except RefusedReview as problem:
            return str(problem)

    assert sorted(people.laboratory.at_once(2, work))[0] == "1"
    assert people.laboratory.amount(SignOff) == 1


INSERT = (
    "INSERT INTO karyo.sign_offs (case_id, pipeline_id, reader, position, required, follows, first_reader, "
    "analysis_ids, last_review_id, result) VALUES (1, 1, %s, %s, 2, %s, %s, '{}', 0, '{}')"
)


def test_the_database_holds_the_second_reader_rule_for_two_connections(people: People, postgres_url: str) -> None:
    """Without the lock of the case: the second writer waits for the first, and is refused."""
    people.case()
    address = postgres_url.replace("+psycopg", "")
    with psycopg.connect(address) as one, psycopg.connect(address) as two, ThreadPoolExecutor(1) as pool:
        one.execute(INSERT, ["Ada", 1, 0, None])
        started = threading.Event()

        def other() -> None:
            started.set()
            two.execute(INSERT, ["Bob", 1, 0, None])

        waiting = pool.submit(other)
        started.wait()
        one.commit()
        with pytest.raises(psycopg.errors.UniqueViolation, match="uq_sign_offs_case_id_follows"):
            waiting.result()
        two.rollback()
        for reader, first in (("Ada", "Ada"), ("ada", "Ada"), ("Ada", "Cleo"), ("Bob", None)):
            with pytest.raises(psycopg.IntegrityError):
                two.execute(INSERT, [reader, 2, 1, first])
            two.rollback()
        two.execute(INSERT, ["Bob", 2, 1, "Ada"])
        two.commit()
    assert people.laboratory.amount(SignOff) == 2


def test_a_sign_off_covers_exactly_the_corrections_before_it(people: People) -> None:
    """Each correction made during a signature is in the signed result or opens the case again."""
    ids = people.case(cells=5)
    corrections = [partial(people.correct, analysis_id, Flip(chromosome=0)) for analysis_id in ids]
    waiting = iter([partial(people.sign, "Ada", required=1), *corrections])

    def work() -> None:
        next(waiting)()

    people.laboratory.at_once(6, work)
    review = people.read()
    assert review.sign_off is not None
    later = [item for cell in review.cells for item in cell.reviews if item.id > review.sign_off.last_review_id]
    assert review.state == ("reopened" if later else "signed")
    assert reported(people)["corrections"] == 5 - len(later)
    with people.sessions() as session:
        assert len(audit.list_events(session, "case.reopened")) == bool(later)
        assert audit.verify(session).count == 6 + bool(later)


def test_a_case_that_is_erased_meanwhile_is_not_signed(people: People) -> None:
    (cell, *_) = people.case()
    with people.sessions() as session:
        case = session.scalars(select(Case)).one()
        with people.sessions.begin() as other:
            assert erasure.erase(other, "A-1", actor="ada@lab", because="withdrawn")
        with pytest.raises(RefusedReview, match="was erased"):
            sign(session, case, reader="Ada", actor="ada@lab", required=1)
    with pytest.raises(RefusedReview, match="there is no analysis"):
        people.correct(cell, Flip(chromosome=1))
