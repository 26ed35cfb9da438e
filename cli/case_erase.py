"""``karyo case erase``: a case is removed from the database, the queue and the object store."""

from __future__ import annotations

from typing import Annotated

import typer
from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from cli.connections import Services, open_services
from cli.console import err, fail, print_json, print_table
from cli.current_user import current_user
from cli.options import AsJson
from cli.review_options import CaseArgument
from db import discarded_objects, erasure
from db.erasure import Erased
from db.report_refresh import refresh_reports
from settings.failpoint import failpoint
from storage import StorageError


def erase(
    case: CaseArgument,
    *,
    because: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; the audit trail keeps it, so do not name the case in it.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Erase; without it, only say what would be erased.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a case everywhere: rows, queue, reports, objects, its name in the audit trail.

    It cannot be undone. The audit trail keeps one event: counts, who, when and why. Safe to repeat; a repetition
    completes an erasure that was interrupted.
    """
    with open_services() as services:
        erased = _erase_rows(services, case, because, for_good=yes)
        if not yes:
            if erased is None:
                _fail_unknown(case)
            _report(erased, None, as_json)
            return
        failpoint("erased")
        refresh_reports(services.sessions, waits=True)  # materialised ones still hold the case
        removed = _remove_objects(services)
        if erased is None and removed == 0:
            _fail_unknown(case)
        _report(erased, removed, as_json)


def _erase_rows(services: Services, accession: str, because: str, *, for_good: bool) -> Erased | None:
    def work(session: Session) -> Erased | None:
        erased = erasure.erase(session, accession, actor=current_user(), because=because)
        if not for_good:
            session.rollback()  # a dry run does the same and keeps nothing of it
        return erased

    try:
        return services.sessions.transact(work)
    except erasure.RefusedErasure as problem:
        fail(str(problem), code=2)
    except OperationalError as problem:
        if isinstance(problem.orig, LockNotAvailable):
            fail(f"other processes work on case {accession!r} all the time; nothing is erased, repeat this command")
        raise


def _remove_objects(services: Services) -> int:
    try:
        return discarded_objects.remove(services.sessions.transact, services.store.delete)
    except StorageError as problem:
        with services.sessions() as session:
            left = discarded_objects.count(session)
        fail(f"the rows are erased, and {left} objects are still in the store: {problem} Then repeat this command.")


def _fail_unknown(accession: str) -> None:
    fail(
        f"there is no case {accession!r}; `karyo report case_status` lists the cases, "
        "and `karyo audit list --action case.erased` what was erased"
    )


def _report(erased: Erased | None, removed: int | None, as_json: bool) -> None:
    """Print what was erased, or would be if ``removed`` is None."""
    if as_json:
        print_json({"erased": removed is not None, "removed": removed, **(erased._asdict() if erased else {})})
        return
    if erased is not None:
        others = {"objects": erased.objects, "bytes of originals": erased.bytes, "audit events redacted": erased.events}
        others |= {"other texts changed": erased.texts, "images that workers hold": erased.running}
        print_table(None, ("what", "count"), [*erased.rows.items(), *others.items()])
    if removed is None:
        err.print("nothing is erased yet; repeat with --yes")
    else:
        what = "the case is erased" if erased else "an interrupted erasure is complete"
        err.print(f"{what}: {removed} objects removed from the store; `karyo audit verify` checks the trail")
