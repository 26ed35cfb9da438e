"""Corrections of stored results."""

from __future__ import annotations

from typing import Any

import pytest

from db import audit
from db.migrate import check, downgrade, upgrade
from db.pipelines import set_alias
from db.schema import AuditEvent, Review
from karyotyping.review import Correction, RefusedReview
from karyotyping.review.corrections import Add, Comment, Flip, Merge, Part, Reclassify, Reject, RejectCell, Split, Undo
from karyotyping.review.regions import Box
from reviews import ReviewConflict, undo
from tests.reviews.conftest import People, classes
from tests.support.reviewed import FEMALE

X = 23


def events(people: People) -> list[AuditEvent]:
    with people.sessions() as session:
        assert audit.verify(session).broken is None
        return list(reversed(audit.list_last(session, 100)))


def test_a_case_follows_the_corrections_of_its_cells(people: People) -> None:
    ids = people.case(cells=3, classes=classes((40, 22)))  # 46,XX,-21,+22: three cells do not establish it
    review = people.read()
    assert (review.before.iscn, review.after.iscn, review.state, review.last_review_id) == (None, None, "open", 0)
    for analysis_id in ids:
        people.correct(analysis_id, Reclassify(chromosome=40, class_id=21))
    review = people.read()
    assert (review.before.iscn, review.after.iscn) == (None, "46,XX")
    assert [cell.iscn for cell in review.cells] == ["46,XX"] * 3
    people.correct(ids[0], RejectCell(because="two cells"))
    review = people.read()
    assert (review.after.cell_count, review.before.cell_count) == (2, 3)


def test_a_correction_is_stored_with_its_author_and_what_it_follows(people: People) -> None:
    first, second = people.case(cells=2)
    people.correct(first, Reject(chromosome=1, because="debris"), by="  Ada   L ")
    people.correct(second, Flip(chromosome=2), by="Bob")
    done = people.correct(first, Comment(text="a marker?"), by="Bob")
    assert (done.before, done.after.iscn, done.reopened) == (done.after, "45,XX,-1", None)
    with people.sessions() as session:
        rows = session.query(Review).order_by(Review.id).all()
    assert [(row.analysis_id, row.follows, row.reviewer, row.action, row.detail) for row in rows] == [
        (first, 0, "Ada L", "reject", {"chromosome": 1, "because": "debris"}),
        (second, 0, "Bob", "flip", {"chromosome": 2}),
        (first, rows[0].id, "Bob", "comment", {"text": "a marker?"}),
    ]


def test_a_class_can_be_taken_away_and_the_case_is_read_again(people: People) -> None:
    (analysis_id,) = people.case(cells=1)
    people.correct(analysis_id, Reclassify(chromosome=0, class_id=None))
    assert people.read().cells[0].iscn == "46,XX,-1,inc"


def test_what_may_be_the_lacking_chromosome_keeps_a_cell_incomplete(people: People) -> None:
    (analysis_id,) = people.case(cells=1, classes=FEMALE[:-1], unexplained=1)
    (cell,) = people.read().cells
    assert (cell.iscn, cell.before.iscn, cell.before.unexplained_objects) == ("45,X,inc", "45,X,inc", 1)
    people.correct(analysis_id, Flip(chromosome=2))
    assert people.read().cells[0].iscn == "45,X,inc"
    found = Part(region=Box(kind="box", x=600, y=400, width=20, height=40), class_id=X)
    people.correct(analysis_id, Add(part=found))
    assert people.read().cells[0].iscn == "46,XX"
    people.correct(analysis_id, Reject(chromosome=2))
    assert people.read().cells[0].iscn == "45,XX,-2"


def test_the_audit_trail_names_the_review_without_its_words(people: People) -> None:
    (analysis_id,) = people.case(cells=1)
    people.correct(analysis_id, Comment(text="Mrs Smith"), by="Bob")
    (event,) = events(people)
    assert (event.actor, event.action, event.subject) == ("ada@lab", "review.recorded", "case:1")
    assert "Smith" not in str(event.detail)
    assert {event.detail["reviewer"], event.detail["correction"], event.detail["analysis"]} == {
        "Bob",
        "comment",
        analysis_id,
    }


@pytest.mark.parametrize(
    ("correction", "sentence"),
    [
        (Reject(chromosome=46), "there is no chromosome 46"),
        (Reject(chromosome=1), "chromosome 1 is gone since review"),
        (Merge(chromosomes=(1, 2)), "chromosome 1 is gone since review"),
        (Undo(review=99), "there is no review 99 of this result"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(people: People, correction: Correction, sentence: str) -> None:
    (analysis_id,) = people.case(cells=1)
    people.correct(analysis_id, Reject(chromosome=1))
    with pytest.raises(RefusedReview, match=sentence):
        people.correct(analysis_id, correction)
    assert people.laboratory.amount(Review) == len(events(people)) == 1


def test_a_superseded_result_is_refused_by_name(people: People) -> None:
    (old,) = people.case(cells=1)
    other = people.laboratory.pipeline("second")
    (new,) = people.analyse(people.images(), other)
    people.correct(old, Flip(chromosome=1))
    with people.sessions.begin() as session:
        set_alias(session, "production", other)
    with pytest.raises(RefusedReview, match=rf"analysis {old} of pipeline first .* is superseded by analysis {new}"):
        people.correct(old, Flip(chromosome=1))
    people.correct(new, Flip(chromosome=1))
    assert people.read().pipeline.id == other


def test_unknown_and_unfinished_results_are_refused(people: People) -> None:
    people.laboratory.pending(1, pipeline_id=people.pipeline)
    with pytest.raises(RefusedReview, match="analysis 1 has no result: it is pending"):
        people.correct(1, Flip(chromosome=1))
    with pytest.raises(RefusedReview, match="there is no analysis 7"):
        people.correct(7, Flip(chromosome=1))
    with pytest.raises(RefusedReview, match="case A-1 has no result yet"):
        people.read()


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\0b"])
def test_a_reviewer_has_a_name(people: People, name: str) -> None:
    (analysis_id,) = people.case(cells=1)
    with pytest.raises(RefusedReview, match="a reviewer has a name"):
        people.correct(analysis_id, Flip(chromosome=1), by=name)


def test_undo_is_refused_while_a_later_correction_needs_it(people: People) -> None:
    (analysis_id,) = people.case(cells=1)
    halves = tuple(Part(region=Box(x=0, y=y, width=640, height=20), class_id=X) for y in (10, 30))
    split = people.correct(analysis_id, Split(chromosome=0, parts=halves)).review.id
    flip = people.correct(analysis_id, Flip(chromosome=46)).review.id

    def take_back(review_id: int) -> Any:
        with people.sessions.begin() as session:
            return undo(session, review_id, reviewer="Bob", actor="bob@lab")

    with pytest.raises(RefusedReview, match=f"review {split} cannot be undone, as a later one needs it: there is no"):
        take_back(split)
    take_back(flip)
    assert take_back(split).after.iscn == "46,XX"
    with pytest.raises(RefusedReview, match=f"review {split} is undone already"):
        take_back(split)
    with pytest.raises(RefusedReview, match="there is no review 99"):
        take_back(99)


def test_of_two_reviewers_at_once_one_is_asked_to_read_again(people: People) -> None:
    (analysis_id,) = people.case(cells=1)
    names = iter(["Ada", "Bob"])

    def work() -> str:
        name = next(names)
        try:
            people.correct(analysis_id, Flip(chromosome=3), by=name, expected=0)
        except ReviewConflict as problem:
            return str(problem)
        return name

    answers = people.laboratory.at_once(2, work)
    (winner,) = (answer for answer in answers if len(answer) == 3)
    (sentence,) = (answer for answer in answers if len(answer) > 3)
    assert sentence.startswith(f"{winner} has reviewed analysis {analysis_id} since (flip, review 1); nothing was chan")
    people.correct(analysis_id, Flip(chromosome=3), expected=1)
    with pytest.raises(ReviewConflict, match="on the basis of review"):
        people.correct(analysis_id, Flip(chromosome=3), expected=99)


def test_reviewers_of_different_cells_do_not_disturb_each_other(people: People) -> None:
    ids = people.case(cells=8)
    waiting = iter(ids)
    people.laboratory.at_once(8, lambda: people.correct(next(waiting), Reject(chromosome=0), expected=0))
    assert people.laboratory.amount(Review) == len(events(people)) == 8
    assert people.read().after.iscn == "45,XX,-1"


def test_corrections_outlive_a_downgrade(people: People, postgres_url: str) -> None:
    first, second = people.case(cells=2)
    for analysis_id, number in ((first, 1), (second, 1), (first, 2)):
        people.correct(analysis_id, Reject(chromosome=number))
    people.sign("Ada", karyotype="44,XX,-1,-2")

    def stored() -> list[tuple[int, int, int]]:
        with people.sessions() as session:
            rows = session.query(Review).order_by(Review.id).all()
            return [(row.case_id, row.analysis_id, row.follows) for row in rows]

    before = stored()
    downgrade(postgres_url, "0009")
    upgrade(postgres_url)
    check(postgres_url)
    assert stored() == before == [(1, first, 0), (1, second, 0), (1, first, 1)]
    assert people.read().state == "open"
    people.correct(first, Flip(chromosome=3), expected=3)
