"""``karyo pause``, ``resume`` and ``drain``: who holds the fleet back, and lets it go again."""

from __future__ import annotations

import getpass
import socket
import time
from typing import Annotated

import typer

from cli.connections import Services, services
from cli.console import AsJson, err, fail, print_json, progress_bar
from db import queue
from db.queue.backlog import backlog
from db.schema import Priority, State

POLL_SECONDS = 0.5


def _parse_priority(label: str) -> Priority:
    try:
        return Priority.parse(label)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from error


Priorities = Annotated[
    list[Priority] | None,
    typer.Option(
        "--priority",
        parser=_parse_priority,
        metavar=f"[{'|'.join(Priority.labels())}]",
        help="Only this queue; repeat for more. Default: all.",
    ),
]


def pause(priority: Priorities = None, as_json: AsJson = False) -> None:
    """Hand out nothing more. Images that a worker holds are finished; everything else waits for `karyo resume`."""
    with services() as found:
        back = _pause(found, priority or list(Priority))
    if as_json:
        print_json({"paused": _names(priority), "taken_back": back})
    else:
        err.print(f"paused: {', '.join(_names(priority))}; {back} images taken back from the broker")


def resume(priority: Priorities = None, as_json: AsJson = False) -> None:
    """Go on after `karyo pause` or `karyo drain`."""
    with services() as found, found.sessions.begin() as session:
        resumed = queue.resume(session, priority or list(Priority))
    if as_json:
        print_json({"resumed": resumed})
    else:
        err.print("nothing was paused" if not resumed else f"{resumed} queue{'s' * (resumed > 1)} resumed")


def drain(
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for the images in hand.")] = 1800.0,
    as_json: AsJson = False,
) -> None:
    """Pause everything and wait until no worker holds an image: then anything may be stopped or upgraded.

    Leaves with 1 if images are still in hand after the timeout; the queues stay paused either way.
    """
    with services() as found:
        back = _pause(found, list(Priority))
        left = _until_idle(found, time.monotonic() + timeout)
    if as_json:
        print_json({"taken_back": back, "in_hand": left})
    if left:
        fail(f"{left} images are still in hand; wait on with `karyo drain`, or see `karyo status`")
    if not as_json:
        err.print("drained: no worker holds an image; `karyo resume` goes on")


def _until_idle(found: Services, deadline: float) -> int:
    """Wait until no image is in hand; how many still are at the deadline."""
    with progress_bar() as progress:
        left = most = _in_hand(found)
        task = progress.add_task("finishing what is in hand", total=most, note="")
        while left and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            found.check()
            left = _in_hand(found)
            most = max(most, left)
            progress.update(task, total=most, completed=most - left)
    return left


def _in_hand(found: Services) -> int:
    with found.sessions() as session:
        return sum(row.analyses for row in backlog(session) if row.state != State.PENDING)


def _pause(found: Services, priorities: list[Priority]) -> int:
    with found.sessions.begin() as session:
        return queue.pause(session, priorities, by=f"{getpass.getuser()}@{socket.gethostname()}")


def _names(priorities: list[Priority] | None) -> list[str]:
    return [priority.label for priority in priorities or Priority]
