"""``karyo prioritise``: another priority for a case that waits."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import select

from cli.connections import open_services
from cli.console import err, fail, print_json
from cli.options import AsJson, parse_priority
from db import queue
from db.accessions import names_case
from db.schema import Case, Priority


def prioritise(
    case: Annotated[str, typer.Argument(help="Accession number of the case.")],
    priority: Annotated[
        Priority,
        typer.Argument(
            parser=parse_priority, metavar=f"{'|'.join(Priority.labels())}", help="Which queue the images wait in."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Set the priority of a case's images that no worker has taken yet."""
    with open_services() as services, services.sessions.begin() as session:
        row = session.scalars(select(Case).where(names_case(case))).first()
        if row is None:
            fail(f"there is no case {case!r}; `karyo report case_status` lists the cases")
        count = queue.prioritise(session, row.id, priority)
    if as_json:
        print_json({"case": row.accession, "priority": priority.label, "prioritised": count})
    else:
        err.print(f"{count} analyses of {row.accession} put into the queue {priority.label}", markup=False)
