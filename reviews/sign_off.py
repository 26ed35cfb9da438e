"""Sign-off of a case by one person or two."""

from __future__ import annotations

from sqlalchemy.orm import Session

from db import audit
from db import reviews as stored
from db.case_results import find_shown_pipeline
from db.pipelines import label
from db.schema import Case, Pipeline, SignOff
from db.spelling import is_storable, normalise
from karyotyping.review import RefusedReview
from reviews.case import CaseReview, read_case
from reviews.conflict import parse_person, refuse_outdated
from reviews.fingerprint import SIGNED, fingerprint

MAX_KARYOTYPE = 1000  # characters


def sign(
    session: Session,
    case: Case,
    *,
    reader: str,
    actor: str,
    required: int,
    pipeline: Pipeline | None = None,
    karyotype: str | None = None,
    expected: int | None = None,
) -> SignOff:
    """Sign the corrected result of a case.

    Args:
        session: an open transaction.
        case: its row.
        reader: who signs.
        actor: who writes it down, as ``user@host``.
        required: persons that a case needs, 1 or 2.
        pipeline: whose results; None for those that ``read_case`` shows.
        karyotype: as reported; None for that of the first reader, or else the one of the corrected cells.
        expected: the last review of the case that the reader has seen, 0 for none; None for whichever is last.

    Returns:
        The signature; the case is signed if its ``position`` is ``required``.

    Raises:
        ReviewConflict: another review came in between.
        RefusedReview: the case is unfinished, superseded, unresolved or signed, or the reader is the first one.
    """
    reader = parse_person(reader)
    if not stored.lock_case(session, case.id):
        raise RefusedReview("the case was erased; `karyo report case_status` lists the cases")
    review = read_case(session, case, pipeline)
    seen = stored.list_case_reviews(session, case.id)
    refuse_outdated(expected, review.last_review_id, seen[-1] if seen else None, f"case {case.accession}")
    _refuse_unsignable(session, review)
    first = _find_first(review, required)
    if first is not None and first.reader.casefold() == reader.casefold():
        raise RefusedReview(
            f"{first.reader} has signed case {case.accession} already; the second reader is another person"
        )
    sign_off = SignOff(
        case_id=case.id,
        pipeline_id=review.pipeline.id,
        reader=reader,
        position=1 if first is None else 2,
        required=required if first is None else first.required,
        follows=review.sign_off.id if review.sign_off else 0,
        first_reader=first and first.reader,
        analysis_ids=review.analysis_ids,
        last_review_id=review.last_review_id,
        iscn=_choose_karyotype(review, first, karyotype),
        result=review.after.to_json(),
    )
    session.add(sign_off)
    session.flush()
    session.refresh(sign_off)
    audit.append(
        session,
        actor=actor,
        action=SIGNED,
        subject=f"case:{case.id}",
        sign_off=sign_off.id,
        reader=reader,
        position=sign_off.position,
        required=sign_off.required,
        digest=review.pipeline.digest,
        analyses=sign_off.analysis_ids,
        last_review=sign_off.last_review_id,
        iscn=sign_off.iscn,
        content_sha256=fingerprint(sign_off),
    )
    return sign_off


def _refuse_unsignable(session: Session, review: CaseReview) -> None:
    name, signed = f"case {review.case.accession}", review.sign_off
    if review.state == "signed" and signed is not None and signed.pipeline_id == review.pipeline.id:
        readers = " and ".join(filter(None, [signed.first_reader, signed.reader]))
        raise RefusedReview(f"{name} is signed already, by {readers}; a correction opens it again")
    shown = find_shown_pipeline(session, review.case.id)
    if shown is not None and shown.id != review.pipeline.id:
        raise RefusedReview(
            f"the results of pipeline {label(review.pipeline)} are superseded by those of {label(shown)}; sign those"
        )
    if review.unfinished:
        raise RefusedReview(
            f"{review.unfinished} images of {name} have no result of pipeline {label(review.pipeline)} yet; "
            "sign when their analyses have ended"
        )


def _find_first(review: CaseReview, required: int) -> SignOff | None:
    """Return the signature that waits for a second reader; None if there is none."""
    first = review.sign_off
    if review.state != "first_signed" or first is None or first.pipeline_id != review.pipeline.id or required == 1:
        return None
    return first


def _choose_karyotype(review: CaseReview, first: SignOff | None, stated: str | None) -> str:
    """Return the karyotype that is signed.

    Raises:
        RefusedReview: there is none, it cannot be stored, or the first reader has signed another.
    """
    if stated is not None:
        stated = normalise(stated)
        if not stated or len(stated) > MAX_KARYOTYPE or not is_storable(stated):
            raise RefusedReview(f"a karyotype has 1 to {MAX_KARYOTYPE} characters")
    if first is not None and first.iscn is not None:
        if stated not in (None, first.iscn):
            raise RefusedReview(
                f"{first.reader} has signed {first.iscn}, and not {stated}; correct or comment the case"
            )
        return first.iscn
    if karyotype := stated or review.after.iscn:
        return karyotype
    why = review.after.why.rstrip(".")
    raise RefusedReview(
        f"case {review.case.accession} has no karyotype: {why}; correct its cells, or state the karyotype (--iscn)"
    )
