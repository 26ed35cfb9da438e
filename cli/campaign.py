"""``karyo campaign``: re-analyses of old cases."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from cli.campaign_control import PerHour, cancel, pause, resume
from cli.campaign_diff import diff
from cli.connections import open_services
from cli.console import err, fail, print_json, print_table
from cli.options import AsJson
from db import campaigns, pipelines
from db.campaign_filters import FIELDS
from db.campaigns import CampaignEstimate, CampaignProgress
from db.schema import Priority

campaign_app = typer.Typer(help="Re-analyse old cases with another pipeline.", no_args_is_help=True)
for command in (diff, pause, resume, cancel):
    campaign_app.command()(command)

Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILTER",
        help="Such as 'tissue=blood and quality>=0.5'; repeat for more, all of which must hold. "
        f"Fields: {', '.join(FIELDS)}.",
    ),
]
PipelineName = Annotated[str, typer.Option(help="Alias, name or first characters of the digest.")]


@campaign_app.command()
def create(
    *,
    pipeline: PipelineName = pipelines.PRODUCTION,
    where: Where = None,
    name: Annotated[str | None, typer.Option(help="A name to find it by.")] = None,
    per_hour: PerHour = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count and estimate the hours; enqueue nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Enqueue every matching image that this pipeline has not analysed, at backlog priority."""
    filters = to_filters(where)

    def estimate(session: Session) -> tuple[CampaignEstimate, str]:
        chosen = pipelines.resolve(session, pipeline)
        return campaigns.estimate(session, chosen.id, filters), pipelines.label(chosen)

    def enqueue(session: Session) -> CampaignProgress | None:
        campaign = campaigns.create(
            session,
            pipeline_id=pipelines.resolve(session, pipeline).id,
            filters=filters,
            name=name,
            priority=Priority.BACKLOG,
            images_per_hour=per_hour,
        )
        assert campaign is not None, "only a schedule's campaign can exist already"
        return campaigns.progress(session, campaign.id)

    with open_services(with_pipeline=True) as services:
        try:
            if dry_run:
                _print_estimate(*services.sessions.transact(estimate), as_json)
                return
            created = services.sessions.transact(enqueue)
        except (LookupError, ValueError) as problem:
            fail(str(problem), code=2)
    assert created is not None, "the campaign was created just now"
    if as_json:
        print_json(asdict(created))
    else:
        err.print(
            f"campaign {created.id}: {created.images} images match, {created.enqueued} enqueued for "
            f"{created.pipeline} ({created.digest[:12]}); follow it with `karyo campaign show {created.id}`"
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
        columns = (
            "id",
            "name",
            "state",
            "pipeline",
            "images",
            "enqueued",
            "ended",
            "created_at",
            "pipeline_retired_at",
        )
        print_table(None, columns, ([getattr(progress, column) for column in columns] for progress in listed))


def to_filters(where: list[str] | None) -> dict[str, list[str]]:
    """Return the filters of ``--where`` as they are stored."""
    return {"where": where} if where else {}


def _print_estimate(estimate: CampaignEstimate, pipeline: str, as_json: bool) -> None:
    if as_json:
        print_json(asdict(estimate))
        return
    err.print(
        f"{estimate.images} images of {estimate.cases} cases match; {pipeline} has not analysed {estimate.missing} of "
        "them",
        markup=False,
        soft_wrap=True,
    )
    if estimate.hours is None:
        err.print("no image was measured yet, so the hours are unknown")
        return
    processes = f"{estimate.processes} processes" if estimate.processes else "one process; no worker is alive"
    err.print(
        f"about {estimate.hours:g} hours: {estimate.seconds_per_image:g} s per image, measured with "
        f"{estimate.measured_with}, and {processes}",
        markup=False,
        soft_wrap=True,
    )
