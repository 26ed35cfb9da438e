"""``karyo export``: signed results for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.connections import open_services
from cli.console import err, fail, print_json
from cli.current_user import current_user
from cli.options import AsJson
from cli.review_options import find_case
from db import audit
from reports.training_data import write_training_data

export_app = typer.Typer(help="Write signed results for other programs.", no_args_is_help=True)

EXPORTED = "training.exported"


@export_app.callback()
def export() -> None:
    """Make Typer expect sub-commands."""


@export_app.command()
def training(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to create.")],
    case: Annotated[list[str] | None, typer.Option(help="Only this case; repeat for more. Default: all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write signed cases as training data: COCO with masks, images, class folders.

    Every item names its case, analysis, pipeline, reviewers and readers. Cases that are not signed are left out.
    """
    with open_services() as services, services.sessions.begin() as session:
        accessions = [find_case(session, name).accession for name in case or []]
        data = write_training_data(session, services.store, out, accessions)
        if not data.case_ids:
            fail("no case is signed; `karyo review sign CASE` signs one")
        audit.append(
            session,
            actor=current_user(),
            action=EXPORTED,
            subject="training",
            cases=data.case_ids,
            cells=len(data.images),
            chromosomes=len(data.annotations),
        )
    counts = {"cases": len(data.case_ids), "cells": len(data.images), "chromosomes": len(data.annotations)}
    if as_json:
        print_json({"folder": str(out), **counts})
    else:
        numbers = ", ".join(f"{number} {name}" for name, number in counts.items())
        err.print(f"{numbers} in {out}", markup=False, soft_wrap=True)
