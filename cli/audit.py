"""``karyo audit``: the audit trail and its hash chain."""

from __future__ import annotations

import re
from dataclasses import asdict
from itertools import islice
from typing import Annotated

import typer

from cli.connections import open_services
from cli.console import err, fail, print_json, print_table
from cli.options import AsJson
from db import audit
from db.pipelines import SHORT_DIGEST
from reviews import find_altered

audit_app = typer.Typer(help="Who did what, in one hash chain.", no_args_is_help=True)

_MAX_SENTENCES = 10  # reviews and sign-offs that are named
_DIGEST = re.compile(r"[0-9a-f]{64}")


@audit_app.command("list")
def list_events(
    action: Annotated[str | None, typer.Option(help="First characters of the action, such as review.")] = None,
    subject: Annotated[str | None, typer.Option(help="Kind and key of the row, such as case:7.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most events to list.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the last events, newest first."""
    with open_services() as services, services.sessions() as session:
        events = audit.list_last(session, limit, action=action, subject=subject)
    columns = ("id", "at", "actor", "action", "subject", "detail", "hash")
    rows = [[getattr(event, column) for column in columns] for event in events]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    texts = (
        (
            number,
            f"{at:%Y-%m-%d %H:%M:%S}",
            *map(_shorten, names),
            ", ".join(_shorten(f"{k} {v}") for k, v in detail.items()),
        )
        for number, at, *names, detail, _ in rows
    )
    print_table(None, columns[:-1], texts)


def _shorten(text: str) -> str:
    """Return ``text`` with its digests as short as in other tables.

    >>> _shorten("pipeline:" + 64 * "a")
    'pipeline:aaaaaaaaaaaa'
    """
    return _DIGEST.sub(lambda match: match[0][:SHORT_DIGEST], text)


@audit_app.command()
def verify(
    head: Annotated[
        str | None, typer.Option(metavar="HASH", help="A hash that you noted; its event must still be there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute the hash of every event again; exit with 1 at the first that does not fit.

    Reviews and sign-offs are compared with their events.
    Note the printed hash outside the database. With --head it shows later that no event was removed from the end.
    """
    if head is not None and not _DIGEST.fullmatch(head.lower()):
        fail("--head wants the 64 hexadecimal digits that `karyo audit verify` prints", code=2)
    with open_services() as services, services.sessions() as session:
        verified = audit.verify(session, head and head.lower())
        altered = list(islice(find_altered(session), _MAX_SENTENCES))
    intact = verified.broken is None and verified.has_anchor and not altered
    if as_json:
        print_json({"intact": intact, **asdict(verified), "altered": altered})
        raise typer.Exit(not intact)
    if verified.broken is not None:
        fail(f"the chain breaks at event {verified.broken}: it was changed, or an event before it was removed")
    if not verified.has_anchor:
        fail(f"no event has the hash {head}: events were removed from the end, or the whole chain was written again")
    if altered:
        fail(f"the events are as they were written, and these are not: {'; '.join(altered)}")
    err.print(f"{verified.count} events, each as it was written; the last hash is")
    typer.echo(verified.head or "none")
