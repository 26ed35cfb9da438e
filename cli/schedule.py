"""``karyo schedule``: campaigns by cron schedule."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.campaign import PipelineName, Where, to_filters
from cli.connections import open_services
from cli.console import err, fail, print_json, print_table, warn
from cli.options import AsJson
from db import schedules
from db.enums import MissedPolicy, OverlapPolicy
from db.pipelines import PRODUCTION

schedule_app = typer.Typer(help="Create campaigns by the clock.", no_args_is_help=True)


@schedule_app.command()
def add(
    name: Annotated[str, typer.Argument(help="A name to find it by.")],
    *,
    cron: Annotated[str, typer.Option(help="Five fields: minute hour day month weekday.")],
    pipeline: PipelineName = PRODUCTION,
    where: Where = None,
    timezone: Annotated[str, typer.Option(help="Time zone of the cron expression, such as Europe/Berlin.")] = "UTC",
    missed: Annotated[
        MissedPolicy, typer.Option(help="Due times that passed while no scheduler ran: create the latest, or none.")
    ] = MissedPolicy.LATEST,
    overlap: Annotated[
        OverlapPolicy,
        typer.Option(help="Due while the campaign before runs: create another, wait for its end, or skip."),
    ] = OverlapPolicy.ALLOW,
) -> None:
    """Create such a campaign by the clock.

    Each due time creates one campaign, however many schedulers run.
    """
    with open_services(with_pipeline=True) as services, services.sessions.begin() as session:
        try:
            schedules.add(
                session,
                name,
                cron,
                pipeline=pipeline,
                filters=to_filters(where),
                timezone=timezone,
                missed=missed,
                overlap=overlap,
            )
        except schedules.BadSchedule as problem:
            fail(str(problem), code=2)
    err.print(f"schedule {name!r} added")


@schedule_app.command("list")
def list_schedules(as_json: AsJson = False) -> None:
    """List every schedule."""
    columns = ["name", "cron", "timezone", "pipeline", "filters", "missed", "overlap", "enabled", "last_due_at"]
    with open_services() as services, services.sessions() as session:
        rows = [
            [*(getattr(schedule, column) for column in columns), schedules.current_problem(session, schedule)]
            for schedule in schedules.list_all(session)
        ]
    columns.append("problem")
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(None, columns, rows)


@schedule_app.command()
def enable(name: str) -> None:
    """Switch a schedule on; due times that passed while it was off are skipped."""
    _switch(name, enabled=True)


@schedule_app.command()
def disable(name: str) -> None:
    """Switch a schedule off."""
    _switch(name, enabled=False)


@schedule_app.command()
def remove(name: str) -> None:
    """Remove a schedule; its campaigns stay."""
    with open_services() as services, services.sessions.begin() as session:
        if not schedules.remove(session, name):
            fail(f"there is no schedule {name!r}", code=2)


def _switch(name: str, *, enabled: bool) -> None:
    with open_services() as services, services.sessions.begin() as session:
        if not schedules.enable(session, name, enabled):
            fail(f"there is no schedule {name!r}", code=2)
        if enabled:
            for schedule in schedules.list_all(session):
                if schedule.name == name and (problem := schedules.current_problem(session, schedule)):
                    warn(problem)
