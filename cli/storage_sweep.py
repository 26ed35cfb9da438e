"""``karyo storage sweep``: objects without a row, and rows without their object."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

import typer

from cli.connections import open_services
from cli.console import err, print_json, print_table, warn
from cli.current_user import current_user
from cli.options import AsJson
from scheduler.sweep import Sweep, SweepReport
from settings import Settings


def sweep(
    *,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete orphans, and what the retention policy removes.")
    ] = False,
    grace: Annotated[
        float, typer.Option(min=1, metavar="HOURS", help="Spare objects without a row that are younger.")
    ] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Compare the object store with the database.

    It finds orphans, missing objects, and what the retention policy removes.
    Without --delete it only reports. Exits with 1 if a row names an object that is missing. Safe to repeat and to
    interrupt.
    """
    with open_services() as services:
        days = policy_of(services.settings)
        found = Sweep(services.sessions, services.store, days, timedelta(hours=grace), delete).run(current_user())
    if as_json:
        print_json(found.to_json())
    else:
        _print(found, delete)
    if any(kind.missing.objects for kind in found.kinds.values()):
        raise typer.Exit(1)


def policy_of(settings: Settings) -> dict[str, int]:
    """Return the days after which artefacts are removed, by name; others are kept for ever."""
    days = {
        "karyogram": settings.retention_karyogram_days,
        "karyogram_svg": settings.retention_karyogram_svg_days,
        "overlay": settings.retention_overlay_days,
    }
    return {name: bound for name, bound in days.items() if bound is not None}


def _print(found: SweepReport, delete: bool) -> None:
    print_table(None, ("kind", "what", "objects", "bytes"), _rows(found))
    for key in found.missing_keys:
        warn(f"{key} is missing; restore it from a backup, or ingest its image again after `karyo case erase`")
    if found.is_ingesting:
        warn("an ingest runs, so orphans were spared; repeat this when it has ended")
    if delete:
        removed = sum(found.removed.values())
        err.print(f"{found.deleted} objects deleted; {removed} artefacts removed by the retention policy")
    elif found.orphans.objects or any(kind.due.objects for kind in found.kinds.values()):
        err.print("nothing is deleted; repeat with --delete")


def _rows(found: SweepReport) -> Iterator[tuple[str, str, int, int]]:
    for name, kind in sorted(found.kinds.items()):
        yield name, "stored", kind.stored.objects, kind.stored.bytes
        if kind.due.objects:
            yield name, "due by the retention policy", kind.due.objects, kind.due.bytes
        if kind.missing.objects:
            yield name, "missing", kind.missing.objects, kind.missing.bytes
    yield "orphan", "no row", found.orphans.objects, found.orphans.bytes
    yield "orphan", "no row yet, in the grace period", found.young.objects, found.young.bytes
