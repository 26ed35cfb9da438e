"""``karyo pause``: hold back the queues."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Sequence
from typing import Annotated

import typer

from cli.connections import open_services
from cli.console import err, print_json
from cli.options import AsJson, parse_priority
from db import queue
from db.engine import SessionFactory
from db.schema import Priority

Priorities = Annotated[
    list[Priority] | None,
    typer.Option(
        "--priority",
        parser=parse_priority,
        metavar=f"[{'|'.join(Priority.labels())}]",
        help="Only this queue; repeat for more. Default: all.",
    ),
]


def pause(priority: Priorities = None, as_json: AsJson = False) -> None:
    """Stop handing out images until `karyo resume`; workers finish those that they hold."""
    priorities = priority or list(Priority)
    with open_services() as services:
        taken_back = pause_queues(services.sessions, priorities)
    labels = [each.label for each in priorities]
    if as_json:
        print_json({"paused": labels, "taken_back": taken_back})
    else:
        err.print(f"paused: {', '.join(labels)}; {taken_back} images taken back from the broker")


def pause_queues(sessions: SessionFactory, priorities: Sequence[Priority]) -> int:
    """Pause queues in the name of the current user.

    Returns:
        The number of images taken back from the broker.
    """
    with sessions.begin() as session:
        return queue.pause(session, priorities, by=f"{getpass.getuser()}@{socket.gethostname()}")
