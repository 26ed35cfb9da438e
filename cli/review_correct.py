"""``karyo review reclassify``, ``reject`` and the other corrections of one analysis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer
from sqlalchemy.orm import Session

import reviews
from cli.console import err, fail, print_json, warn
from cli.current_user import current_user
from cli.options import AsJson
from cli.review_options import (
    AnalysisArgument,
    Because,
    ChromosomeArgument,
    ClassOption,
    Expect,
    Person,
    build,
    parse_class,
    parse_part,
    review_session,
)
from karyotyping.nomenclature.iscn import NOT_CALLED
from karyotyping.review import Correction, parse_correction
from karyotyping.review.corrections import Add, Comment, Flip, Merge, Reclassify, Reject, RejectCell, Split
from karyotyping.review.describe import describe
from reviews import CorrectedCell

_REGION = "box:X,Y,WIDTH,HEIGHT or polygon:X,Y,X,Y,X,Y, in pixels of the image"


def reclassify(
    analysis: AnalysisArgument,
    chromosome: ChromosomeArgument,
    class_: Annotated[str, typer.Argument(metavar="CLASS", help="1 to 22, X, Y, or ? (not identified).")],
    *,
    by: Person = None,
    because: Because = None,
    expect: Expect = None,
    as_json: AsJson = False,
) -> None:
    """Give a chromosome another class, or confirm the one it has."""
    correction = build(Reclassify, chromosome=chromosome, class_id=parse_class(class_), because=because)
    _correct(analysis, correction, by, expect, as_json=as_json)


def reject(
    analysis: AnalysisArgument,
    chromosome: Annotated[int | None, typer.Argument(metavar="CHROMOSOME", help="Its number in the cell.")] = None,
    *,
    cell: Annotated[bool, typer.Option("--cell", help="Leave the whole cell out of its case.")] = False,
    by: Person = None,
    because: Because = None,
    expect: Expect = None,
    as_json: AsJson = False,
) -> None:
    """Remove what is no chromosome, or leave a whole cell out of its case."""
    if cell == (chromosome is not None):
        fail("name a CHROMOSOME, or leave the whole cell out with --cell", code=2)
    chosen = build(RejectCell, because=because) if cell else build(Reject, chromosome=chromosome, because=because)
    _correct(analysis, chosen, by, expect, as_json=as_json)


def split(
    analysis: AnalysisArgument,
    chromosome: ChromosomeArgument,
    *,
    parts: Annotated[
        list[str], typer.Option("--part", metavar="REGION[=CLASS]", help=f"{_REGION}; give it twice or more.")
    ],
    by: Person = None,
    because: Because = None,
    expect: Expect = None,
    as_json: AsJson = False,
) -> None:
    """Replace one chromosome by its parts; each region is cut to the chromosome."""
    correction = build(Split, chromosome=chromosome, parts=tuple(map(parse_part, parts)), because=because)
    _correct(analysis, correction, by, expect, as_json=as_json)


def merge(
    analysis: AnalysisArgument,
    chromosomes: Annotated[list[int], typer.Argument(metavar="CHROMOSOME...", help="Two numbers or more.")],
    *,
    class_: ClassOption = None,
    by: Person = None,
    because: Because = None,
    expect: Expect = None,
    as_json: AsJson = False,
) -> None:
    """Replace several chromosomes by one."""
    class_id = None if class_ is None else parse_class(class_)
    correction = build(Merge, chromosomes=tuple(chromosomes), class_id=class_id, because=because)
    _correct(analysis, correction, by, expect, as_json=as_json)


def flip(
    analysis: AnalysisArgument,
    chromosome: ChromosomeArgument,
    *,
    by: Person = None,
    because: Because = None,
    expect: Expect = None,
    as_json: AsJson = False,
) -> None:
    """Turn a chromosome upside down: its other end is that of the p arm."""
    correction = build(Flip, chromosome=chromosome, because=because)
    _correct(analysis, correction, by, expect, as_json=as_json)


def add(
    analysis: AnalysisArgument,
    part: Annotated[str, typer.Argument(metavar="REGION[=CLASS]", help=f"{_REGION}.")],
    *,
    by: Person = None,
    because: Because = None,
    expect: Expect = None,
    as_json: AsJson = False,
) -> None:
    """Add a chromosome that the pipeline missed."""
    _correct(analysis, build(Add, part=parse_part(part), because=because), by, expect, as_json=as_json)


def comment(
    analysis: AnalysisArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What others should know.")],
    *,
    by: Person = None,
    expect: Expect = None,
    as_json: AsJson = False,
) -> None:
    """Say something about a cell; its result stays."""
    _correct(analysis, build(Comment, text=text), by, expect, as_json=as_json)


def undo(
    review: Annotated[int, typer.Argument(metavar="REVIEW", help="Number in `karyo review list CASE`.")],
    *,
    by: Person = None,
    because: Because = None,
    expect: Expect = None,
    as_json: AsJson = False,
) -> None:
    """Withdraw a correction; the withdrawal is a correction too."""

    def record(session: Session) -> CorrectedCell:
        user = current_user()
        person = user if by is None else by
        return reviews.undo(session, review, reviewer=person, actor=user, because=because, expected=expect)

    _record(record, as_json=as_json)


def _correct(analysis: int, correction: Correction, by: str | None, expect: int | None, *, as_json: bool) -> None:
    def record(session: Session) -> CorrectedCell:
        user = current_user()
        person = user if by is None else by
        return reviews.correct(session, analysis, correction, reviewer=person, actor=user, expected=expect)

    _record(record, as_json=as_json)


def _record(record: Callable[[Session], CorrectedCell], *, as_json: bool) -> None:
    """Record a correction, and say what has become of its cell."""
    with review_session() as session:
        done = record(session)
    review, case, image = done.review, done.result.case.accession, done.result.image.file_name
    before = {row["ordinal"] for row in done.before.chromosomes}
    made = [row["ordinal"] for row in done.after.chromosomes if row["ordinal"] not in before]
    if as_json:
        print_json(
            {
                "review": review.id,
                "case": case,
                "analysis": review.analysis_id,
                "file_name": image,
                "action": review.action,
                "detail": review.detail,
                "reviewer": review.reviewer,
                "created_at": review.created_at,
                "chromosomes_made": made,
                "iscn_before": done.before.iscn,
                "iscn_after": done.after.iscn,
                "cell_rejected": done.after.rejected,
                "reopened": done.reopened is not None,
            }
        )
        return
    karyotypes = " -> ".join(dict.fromkeys((done.before.iscn or NOT_CALLED, done.after.iscn or NOT_CALLED)))
    what = describe(parse_correction(review.action, review.detail))
    numbers = f"; new: chromosome {', '.join(map(str, made))}" if made else ""
    sentence = f"review {review.id} of {image} in case {case}: {what}{numbers}; {karyotypes}"
    err.print(sentence, markup=False, soft_wrap=True)
    if done.reopened is not None:
        warn(f"case {case} was signed by {done.reopened.reader} and is open again; `karyo review sign {case}` signs it")
