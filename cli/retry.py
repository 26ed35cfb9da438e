"""``karyo retry``: put failed analyses back into the queue."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.connections import open_services
from cli.console import err, print_json
from cli.options import AsJson
from db import queue


def retry(
    reason: Annotated[str | None, typer.Option(help="Only analyses that ended for this reason.")] = None,
    case: Annotated[str | None, typer.Option(help="Only images of this case.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put failed and quarantined analyses back into the queue, with zero attempts."""
    with open_services() as services, services.sessions.begin() as session:
        count = queue.retry(session, reason=reason, accession=case)
    if as_json:
        print_json({"retried": count})
    else:
        err.print(f"{count} analyses put back into the queue")
