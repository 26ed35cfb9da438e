"""``karyo resume``: continue paused queues."""

from __future__ import annotations

from cli.connections import open_services
from cli.console import err, print_json
from cli.options import AsJson
from cli.pause import Priorities
from db import queue
from db.schema import Priority


def resume(priority: Priorities = None, as_json: AsJson = False) -> None:
    """Continue after `karyo pause` or `karyo drain`."""
    with open_services() as services, services.sessions.begin() as session:
        resumed = queue.resume(session, priority or list(Priority))
    if as_json:
        print_json({"resumed": resumed})
    else:
        err.print("nothing was paused" if not resumed else f"{resumed} queue{'s' * (resumed > 1)} resumed")
