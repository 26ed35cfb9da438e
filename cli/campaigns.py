"""``karyo campaign`` and ``karyo schedule``: re-analyse old cases, by hand or by the clock."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cli.connections import services
from cli.console import AsJson, err, fail, print_json, print_table
from db import campaigns, pipelines, schedules
from db.pipelines import PRODUCTION
from db.schema import Priority

campaign_app = typer.Typer(help="Re-analyse old cases with another pipeline.", no_args_is_help=True)
schedule_app = typer.Typer(help="Create campaigns by the clock.", no_args_is_help=True)

Where = Annotated[
    list[str] | None,
    typer.Option(
        help="Filter such as tissue=blood; repeat for more. There are: case, lab, tissue, banding, microscope, "
        "since, until (dates), iscn, flag."
    ),
]
PipelineName = Annotated[str, typer.Option(help="Alias, name or first characters of the digest.")]


def _filters(where: list[str] | None) -> dict[str, str]:
    pairs = [item.partition("=") for item in where or []]
    for name, equals, value in pairs:
        if not (name and equals and value):
            fail(f"--where wants name=value, not {name + equals + value!r}", code=2)
    return {name: value for name, _, value in pairs}


@campaign_app.command()
def create(
    pipeline: PipelineName = PRODUCTION,
    where: Where = None,
    name: Annotated[str | None, typer.Option(help="A name to find it by.")] = None,
    as_json: AsJson = False,
) -> None:
    """Enqueue every matching image that this pipeline has not seen, at backlog priority."""
    with services() as found, found.sessions.begin() as session:
        try:
            chosen = pipelines.resolve(session, pipeline)
            campaign = campaigns.create(
                session, pipeline_id=chosen.id, filters=_filters(where), name=name, priority=Priority.BACKLOG
            )
        except (LookupError, ValueError) as problem:
            fail(str(problem), code=2)
        assert campaign is not None, "only a schedule's campaign can exist already"
        report = campaigns.progress(session, campaign.id)
    if as_json:
        print_json(report and asdict(report))
    else:
        err.print(
            f"campaign {campaign.id}: {campaign.image_count} images match, {campaign.enqueued_count} enqueued for "
            f"{chosen.name} ({chosen.digest[:12]}); follow it with `karyo campaign show {campaign.id}`"
        )


@campaign_app.command()
def show(campaign: Annotated[int, typer.Argument(help="Number of the campaign.")], as_json: AsJson = False) -> None:
    """How far a campaign is."""
    with services() as found, found.sessions() as session:
        report = campaigns.progress(session, campaign)
    if report is None:
        fail(f"there is no campaign {campaign}; `karyo campaign list` shows them", code=2)
    if as_json:
        print_json(asdict(report))
    else:
        print_table(f"Campaign {campaign}", ("", ""), asdict(report).items())


@campaign_app.command("list")
def list_campaigns(as_json: AsJson = False) -> None:
    """Every campaign, newest first."""
    with services() as found, found.sessions() as session:
        reports = campaigns.list_progress(session)
    if as_json:
        print_json([asdict(report) for report in reports])
    else:
        columns = ("id", "name", "pipeline", "images", "enqueued", "ended", "created_at")
        print_table(None, columns, ([getattr(report, column) for column in columns] for report in reports))


@schedule_app.command()
def add(
    name: Annotated[str, typer.Argument(help="A name to find it by.")],
    cron: Annotated[str, typer.Option(help="Five fields: minute hour day month weekday.")],
    pipeline: PipelineName = PRODUCTION,
    where: Where = None,
    timezone: Annotated[str, typer.Option(help="Time zone of the cron expression.")] = "UTC",
) -> None:
    """Create such a campaign by the clock; each due time counts once, however many schedulers run."""
    with services() as found, found.sessions.begin() as session:
        try:
            schedules.add(session, name, cron, pipeline=pipeline, filters=_filters(where), timezone=timezone)
        except schedules.BadSchedule as problem:
            fail(str(problem), code=2)
    err.print(f"schedule {name!r} added")


@schedule_app.command("list")
def list_schedules(as_json: AsJson = False) -> None:
    """Every schedule."""
    columns = ("name", "cron", "timezone", "pipeline", "filters", "enabled", "last_due_at", "problem")
    with services() as found, found.sessions() as session:
        rows = [[getattr(schedule, column) for column in columns] for schedule in schedules.list_all(session)]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(None, columns, rows)


def _switch(name: str, *, enabled: bool) -> None:
    with services() as found, found.sessions.begin() as session:
        if not schedules.enable(session, name, enabled):
            fail(f"there is no schedule {name!r}", code=2)


@schedule_app.command()
def enable(name: str) -> None:
    """Switch a schedule on; what fell due while it was off is not made up for."""
    _switch(name, enabled=True)


@schedule_app.command()
def disable(name: str) -> None:
    """Switch a schedule off."""
    _switch(name, enabled=False)


@schedule_app.command()
def remove(name: str) -> None:
    """Remove a schedule; its campaigns stay."""
    with services() as found, found.sessions.begin() as session:
        if not schedules.remove(session, name):
            fail(f"there is no schedule {name!r}", code=2)
