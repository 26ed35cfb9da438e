"""``karyo drain``: pause every queue and wait for the workers."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from cli.connections import Services, open_services
from cli.console import err, fail, print_json, progress_bar
from cli.options import AsJson
from cli.pause import pause_queues
from db.queue.backlog import backlog
from db.schema import Priority, State

POLL_SECONDS = 0.5  # s between two counts of the leased images


def drain(
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for the images in progress.")] = 1800.0,
    as_json: AsJson = False,
) -> None:
    """Pause every queue and wait until no worker holds an image.

    After that, any process may be stopped or upgraded. Exits with 1 if workers still hold images after the timeout;
    the queues stay paused either way.
    """
    with open_services() as services:
        taken_back = pause_queues(services.sessions, list(Priority))
        remaining = _wait_until_idle(services, time.monotonic() + timeout)
    if as_json:
        print_json({"taken_back": taken_back, "in_hand": remaining})
    if remaining:
        fail(f"workers still hold {remaining} images; wait on with `karyo drain`, or see `karyo status`")
    if not as_json:
        err.print("drained: no worker holds an image; `karyo resume` goes on")


def _wait_until_idle(services: Services, deadline: float) -> int:
    """Wait until no image is queued or running; return how many still are at the deadline."""
    with progress_bar() as progress:
        remaining = total = _count_in_progress(services)
        task = progress.add_task("finishing images", total=total, note="")
        while remaining and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            services.check()
            remaining = _count_in_progress(services)
            total = max(total, remaining)
            progress.update(task, total=total, completed=total - remaining)
    return remaining


def _count_in_progress(services: Services) -> int:
    groups = services.sessions.transact(backlog)
    return sum(group.analyses for group in groups if group.state != State.PENDING)
