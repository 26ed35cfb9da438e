"""``karyo retry``: put failed analyses back into the queue."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cli.connections import open_services
from cli.console import err, fail, print_json
from cli.options import AsJson
from db import queue
from db.accessions import names_case
from db.schema import Analysis, Case, Image, State


def retry(
    reason: Annotated[str | None, typer.Option(help="Only analyses that ended for this reason.")] = None,
    case: Annotated[str | None, typer.Option(help="Only images of this case.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put failed and quarantined analyses back into the queue, with zero attempts.

    Exits with 1 if there is no such case, or if no analysis of it failed for the reason.
    """
    with open_services() as services, services.sessions.begin() as session:
        if case is not None and session.scalar(select(Case.id).where(names_case(case))) is None:
            fail(f"there is no case {case!r}; `karyo report case_status` lists the cases")
        if reason is not None:
            _check_reason(session, reason, case)
        count = queue.retry(session, reason=reason, accession=case)
    if as_json:
        print_json({"retried": count})
    else:
        err.print(f"{count} analyses put back into the queue")


def _check_reason(session: Session, reason: str, case: str | None) -> None:
    """Exit with 1 and the reasons that there are if no analysis failed for ``reason``."""
    failed = (
        select(Analysis.reason, func.count().label("number"))
        .where(Analysis.state.in_((State.FAILED, State.QUARANTINED)), Analysis.reason.is_not(None))
        .group_by(Analysis.reason)
        .order_by(func.count().desc(), Analysis.reason)
    )
    if case is not None:
        failed = failed.join(Image, Image.id == Analysis.image_id).join(Case).where(names_case(case))
    counts: dict[str | None, int] = {row.reason: row.number for row in session.execute(failed)}
    if reason not in counts:
        there_are = ", ".join(f"{name} ({count})" for name, count in counts.items())
        of_case = "" if case is None else f" of case {case!r}"
        fail(
            f"no analysis{of_case} failed for the reason {reason!r}; "
            + (f"there are: {there_are}" if there_are else "no analysis failed")
        )
