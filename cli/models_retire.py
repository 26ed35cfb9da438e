"""``karyo models retire``: a pipeline that nothing new may use."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.connections import open_services
from cli.console import err, fail
from cli.current_user import current_user
from cli.models_promote import Because
from db import pipeline_lifecycle, pipelines
from db.pipelines import label


def retire(
    pipeline: Annotated[str, typer.Argument(help="Name, or the first characters of the digest.")],
    undo: Annotated[bool, typer.Option("--undo", help="Allow new analyses with it again.")] = False,
    because: Because = None,
) -> None:
    """Forbid new analyses with a pipeline; its results stay."""
    change = pipeline_lifecycle.restore if undo else pipeline_lifecycle.retire
    with open_services(with_pipeline=True) as services:
        try:
            with services.sessions.begin() as session:
                chosen = pipelines.resolve(session, pipeline, allow_retired=True)
                changed = change(session, chosen.id, actor=current_user(), because=because)
        except pipeline_lifecycle.RefusedChange as problem:
            fail(str(problem))
    err.print(
        f"pipeline {changed.id}, {label(changed)}, " + ("can be chosen again" if undo else "is retired"), soft_wrap=True
    )
