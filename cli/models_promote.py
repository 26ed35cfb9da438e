"""``karyo models promote`` and ``rollback``: which pipeline analyses new images."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.connections import Services, open_services
from cli.console import err, fail, warn
from cli.current_user import current_user
from cli.pipeline_options import ClassifierOption, SegmenterOption
from cli.promotion_guard import check_signed_cases
from cli.shipped_pipeline import register_shipped_pipeline
from db import pipeline_lifecycle, pipelines, workers
from db.pipeline_lifecycle import Promotion
from db.pipelines import label
from karyotyping.pipeline import Classifier, Segmenter
from karyotyping.pipeline import Pipeline as RunnablePipeline
from models.registry import ModelUnavailable

Because = Annotated[str | None, typer.Option(metavar="TEXT", help="Why; kept in the audit trail.")]


def promote(
    ctx: typer.Context,
    pipeline: Annotated[
        str | None,
        typer.Argument(help="Name, or the first characters of the digest; default: the pipeline that is shipped."),
    ] = None,
    classifier: ClassifierOption = Classifier.EMBEDDING,
    segmenter: SegmenterOption = Segmenter.NETWORK,
    because: Because = None,
) -> None:
    """Make a pipeline `production`: it analyses new images from now on.

    Without PIPELINE, the pipeline that this version ships is registered and promoted. A pipeline that contradicts too
    many signed cases, or calls one of the abnormal ones normal, needs --because.
    """
    chosen = [name for name in ("classifier", "segmenter") if _is_given(ctx, name)]
    if pipeline is not None and chosen:
        fail(f"--{chosen[0]} chooses a shipped pipeline; leave it out, or leave out {pipeline!r}", code=2)
    with open_services(with_pipeline=True) as services:
        if pipeline is None:
            pipeline_id = register_shipped_pipeline(services.sessions, classifier, segmenter)
        else:
            with services.sessions() as session:
                pipeline_id = pipelines.resolve(session, pipeline).id
        with services.sessions.begin() as session:
            share = services.settings.promotion_contradictions
            figures = check_signed_cases(session, pipeline_id, share, because)
            promotion = pipeline_lifecycle.promote(
                session, pipeline_id, actor=current_user(), because=because, **figures
            )
        _report(services, promotion)


def rollback(because: Because = None) -> None:
    """Return to the pipeline that was `production` before; repeat it to go further back."""
    with open_services(with_pipeline=True) as services:
        try:
            with services.sessions.begin() as session:
                promotion = pipeline_lifecycle.rollback(session, actor=current_user(), because=because)
        except pipeline_lifecycle.RefusedChange as problem:
            fail(str(problem))
        _report(services, promotion)


def _is_given(ctx: typer.Context, parameter: str) -> bool:
    source = ctx.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


def _report(services: Services, promotion: Promotion) -> None:
    """Print what is in production now, and warn if nothing can run it."""
    now, before = promotion.pipeline, promotion.previous
    name = f"pipeline {now.id}, {label(now)}, is"
    if not promotion.changed:
        err.print(f"{name} production already", soft_wrap=True)
    else:
        predecessor = f"; before it was {before.id}, {label(before)}" if before else ""
        err.print(f"{name} production{predecessor}", soft_wrap=True)
    with services.sessions() as session:
        if workers.any_can_run(session, now.document):
            return
    try:
        RunnablePipeline.from_document(now.document)
    except ModelUnavailable as problem:
        warn(f"no live worker can run it, and this installation cannot either: {problem}")
        return
    if not services.settings.embedded:  # whose workers are processes of this installation
        warn("no live worker can run it: its images wait until a worker of this version of karyoflow is started")
