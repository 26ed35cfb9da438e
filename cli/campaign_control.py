"""``karyo campaign pause``, ``resume`` and ``cancel``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from cli.connections import open_services
from cli.console import err, fail
from cli.current_user import current_user
from db import campaign_control

Number = Annotated[int, typer.Argument(metavar="CAMPAIGN", help="Number of the campaign.")]
PerHour = Annotated[
    float | None,
    typer.Option(min=0.1, help="Release at most so many images per hour; default: all at once."),
]


def pause(campaign: Number) -> None:
    """Hold back the images of a campaign that no worker has taken."""
    with _session() as session:
        images = campaign_control.pause(session, campaign, actor=current_user())
    err.print(f"campaign {campaign} paused: {images} images wait for `karyo campaign resume {campaign}`")


def resume(campaign: Number, per_hour: PerHour = None) -> None:
    """Release the images of a campaign, also at another rate than before."""
    with _session() as session:
        images = campaign_control.resume(session, campaign, actor=current_user(), images_per_hour=per_hour)
    rate = "" if per_hour is None else f", {per_hour:g} per hour"
    err.print(f"campaign {campaign} runs: {images} images wait{rate}")


def cancel(
    campaign: Number,
    because: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; kept in the audit trail.")] = None,
) -> None:
    """Give up the images of a campaign that no worker has taken; results stay.

    Images that a later campaign of the same pipeline also chose are given up too; create that campaign again.
    """
    with _session() as session:
        images = campaign_control.cancel(session, campaign, actor=current_user(), because=because)
    err.print(f"campaign {campaign} cancelled: {images} images are given up, results stay")


@contextmanager
def _session() -> Iterator[Session]:
    """Yield a transaction; exit with 2 and a sentence if the campaign is unknown."""
    with open_services() as services, services.sessions.begin() as session:
        try:
            yield session
        except campaign_control.UnknownCampaign as problem:
            fail(str(problem), code=2)
