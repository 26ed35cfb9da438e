"""``karyo models register``: a shipped pipeline becomes a candidate."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from cli.connections import open_services
from cli.console import print_table, warn
from cli.pipeline_options import ClassifierOption, SegmenterOption
from cli.shipped_pipeline import register_shipped_pipeline
from db.pipelines import MIN_DIGEST_PREFIX, PRODUCTION, RetiredPipeline
from db.schema import Pipeline
from karyotyping.pipeline import Classifier, Segmenter

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DIGEST_PREFIX = re.compile(f"[0-9a-f]{{{MIN_DIGEST_PREFIX},}}")


def _parse_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise typer.BadParameter("a name has letters, digits, '.', '_' and '-' only.")
    if name == PRODUCTION or _DIGEST_PREFIX.fullmatch(name):
        raise typer.BadParameter(f"{name!r} already means something else: an alias, or the start of a digest.")
    return name


NameOption = Annotated[
    str | None,
    typer.Option(parser=_parse_name, metavar="NAME", help="Name of the pipeline; default: that of its classifier."),
]


def register(
    classifier: ClassifierOption = Classifier.EMBEDDING,
    segmenter: SegmenterOption = Segmenter.NETWORK,
    name: NameOption = None,
) -> None:
    """Store a pipeline that this version ships, without using it yet. Safe to repeat."""
    with open_services(with_pipeline=True) as services:
        pipeline_id = register_shipped_pipeline(services.sessions, classifier, segmenter, name)
        with services.sessions() as session:
            pipeline = session.get_one(Pipeline, pipeline_id)
    print_table(None, ("name", "digest", "id"), [(pipeline.name, pipeline.digest, pipeline.id)])
    if pipeline.retired_at is not None:
        warn(str(RetiredPipeline(pipeline)))
