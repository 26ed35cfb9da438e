"""``karyo campaign``: re-analyses of old cases."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cli.campaign_diff import diff
from cli.connections import open_services
from cli.console import err, fail, print_json, print_table
from cli.options import AsJson
from db import campaigns, pipelines
from db.schema import Priority

campaign_app = typer.Typer(help="Re-analyse old cases with another pipeline.", no_args_is_help=True)
campaign_app.command()(diff)

Where = Annotated[
    list[str] | None,
    typer.Option(
        help="Filter such as tissue=blood; repeat for more. There are: case, lab, tissue, banding, microscope, "
        "since, until (dates), iscn, flag."
    ),
]
PipelineName = Annotated[str, typer.Option(help="Alias, name or first characters of the digest.")]


@campaign_app.command()
def create(
    pipeline: PipelineName = pipelines.PRODUCTION,
    where: Where = None,
    name: Annotated[str | None, typer.Option(help="A name to find it by.")] = None,
    as_json: AsJson = False,
) -> None:
    """Enqueue every matching image that this pipeline has not analysed, at backlog priority."""
    with open_services(with_pipeline=True) as services, services.sessions.begin() as session:
        try:
            chosen = pipelines.resolve(session, pipeline)
            campaign = campaigns.create(
                session, pipeline_id=chosen.id, filters=parse_filters(where), name=name, priority=Priority.BACKLOG
            )
        except (LookupError, ValueError) as problem:
            fail(str(problem), code=2)
        assert campaign is not None, "only a schedule's campaign can exist already"
        progress = campaigns.progress(session, campaign.id)
    if as_json:
        print_json(progress and asdict(progress))
    else:
        err.print(
            f"campaign {campaign.id}: {campaign.image_count} images match, {campaign.enqueued_count} enqueued for "
            f"{chosen.name} ({chosen.digest[:12]}); follow it with `karyo campaign show {campaign.id}`"
        )


@campaign_app.command()
def show(campaign: Annotated[int, typer.Argument(help="Number of the campaign.")], as_json: AsJson = False) -> None:
    """Show the progress of a campaign."""
    with open_services() as services, services.sessions() as session:
        progress = campaigns.progress(session, campaign)
    if progress is None:
        fail(f"there is no campaign {campaign}; `karyo campaign list` shows them", code=2)
    if as_json:
        print_json(asdict(progress))
    else:
        print_table(f"Campaign {campaign}", ("", ""), asdict(progress).items())


@campaign_app.command("list")
def list_campaigns(as_json: AsJson = False) -> None:
    """List every campaign, newest first."""
    with open_services() as services, services.sessions() as session:
        listed = campaigns.list_progress(session)
    if as_json:
        print_json([asdict(progress) for progress in listed])
    else:
        columns = ("id", "name", "pipeline", "images", "enqueued", "ended", "created_at", "pipeline_retired_at")
        print_table(None, columns, ([getattr(progress, column) for column in columns] for progress in listed))


def parse_filters(where: list[str] | None) -> dict[str, str]:
    """Return the filters of ``--where`` by name; exit with 2 if one is not ``name=value``."""
    pairs = [item.partition("=") for item in where or []]
    for name, equals, value in pairs:
        if not (name and equals and value):
            fail(f"--where wants name=value, not {name + equals + value!r}", code=2)
    return {name: value for name, _, value in pairs}
