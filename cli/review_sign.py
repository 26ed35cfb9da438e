"""``karyo review sign``: the signature of one reader."""

from __future__ import annotations

from typing import Annotated

import typer

import reviews
from cli.console import err, print_json
from cli.current_user import current_user
from cli.options import AsJson
from cli.review_options import CaseArgument, Expect, Person, PipelineOption, find_case, find_pipeline, review_session
from settings import Settings


def sign(
    case: CaseArgument,
    *,
    by: Person = None,
    iscn: Annotated[
        str | None, typer.Option(help="Karyotype as reported; default: that of the corrected cells.")
    ] = None,
    expect: Expect = None,
    pipeline: PipelineOption = None,
    as_json: AsJson = False,
) -> None:
    """Sign the corrected result of a case, as its first reader or its second.

    KARYO_SIGN_OFF_READERS says how many readers a case needs: 2, or 1.
    """
    user, required = current_user(), Settings().sign_off_readers
    with review_session() as session:
        found = find_case(session, case)
        signed = reviews.sign(
            session,
            found,
            reader=user if by is None else by,
            actor=user,
            required=required,
            pipeline=find_pipeline(session, pipeline),
            karyotype=iscn,
            expected=expect,
        )
    complete = signed.position == signed.required
    if as_json:
        print_json(
            {
                "case": found.accession,
                "sign_off": signed.id,
                "reader": signed.reader,
                "first_reader": signed.first_reader,
                "position": signed.position,
                "required": signed.required,
                "signed": complete,
                "iscn": signed.iscn,
                "analyses": signed.analysis_ids,
                "last_review": signed.last_review_id,
                "at": signed.created_at,
            }
        )
        return
    if complete:
        readers = " and ".join(filter(None, [signed.first_reader, signed.reader]))
        sentence = f"case {found.accession} is signed: {signed.iscn}, by {readers}"
    else:
        sentence = (
            f"{signed.reader} has signed case {found.accession} as its first reader: {signed.iscn}; "
            "another person signs it next"
        )
    err.print(sentence, markup=False, soft_wrap=True)
