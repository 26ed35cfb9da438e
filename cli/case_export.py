"""``karyo case export``: one file with a case."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.connections import open_services
from cli.console import err, fail, print_json, warn
from cli.current_user import current_user
from cli.files import check_output_files
from cli.options import AsJson
from cli.review_options import CaseArgument, find_case
from db.spelling import is_storable, normalise


def export(
    case: CaseArgument,
    *,
    to: Annotated[Path, typer.Option(metavar="FILE", help="Zip archive to write.")],
    pseudonym: Annotated[
        str | None, typer.Option(metavar="NAME", help="Accession number in the archive, in place of the real one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a case to one archive: originals, results of all pipelines, reviews, digests.

    `karyo case import` takes it in on another installation. Analyses that have not ended are left out.
    """
    name = None if pseudonym is None else normalise(pseudonym)
    if name is not None and not (name and is_storable(name)):
        fail("--pseudonym is empty or holds characters that cannot be stored; write another name", code=2)
    check_output_files(to)
    from reports.case_archive.transfer import export_case  # noqa: PLC0415 - imports the science

    with open_services() as services, services.sessions.begin() as session:
        found = find_case(session, case)
        document = export_case(session, services.store, found, to, actor=current_user(), pseudonym=name)
    counts = {kind: len(document[kind]) for kind in ("images", "analyses", "reviews", "sign_offs")}
    if as_json:
        print_json({"file": str(to), "accession": document["case"]["accession"], **counts})
    else:
        numbers = ", ".join(f"{count} {kind.replace('_', '-')}" for kind, count in counts.items())
        err.print(f"{to}: case {document['case']['accession']}, {numbers}", markup=False, soft_wrap=True)
    if name is not None:
        warn("the original files are as they came: look for names in their pixels and metadata before you hand them on")
