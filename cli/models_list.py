"""``karyo models list``: every pipeline version that the database knows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from cli.connections import open_services
from cli.console import print_json, print_table
from cli.options import AsJson
from db.pipeline_comparison import Difference, PipelineState, PipelineSummary, list_pipelines
from db.pipelines import PRODUCTION, SHORT_DIGEST

_LONG_DIGEST = 64  # characters of a SHA-256


def list_models(as_json: AsJson = False) -> None:
    """List the pipeline versions, and the differences of each from the one in production."""
    with open_services(with_pipeline=True) as services, services.sessions() as session:
        summaries = list_pipelines(session)
    if as_json:
        print_json([_as_json(summary) for summary in summaries])
    else:
        columns = ("id", "name", "digest", "code", "created", "state", "results", "differs from production")
        print_table(None, columns, map(_row, summaries))


def describe_difference(difference: Difference) -> str:
    """Return a difference as text; digests are shortened.

    >>> describe_difference(Difference("parameters.stream.tile", 384, 512))
    'parameters.stream.tile: 384 -> 512'
    """
    return f"{difference.key}: {_shorten(difference.old)} -> {_shorten(difference.new)}"


def _shorten(value: Any) -> str:
    text = str(value)
    return text[:SHORT_DIGEST] if len(text) == _LONG_DIGEST else text


def _as_json(summary: PipelineSummary) -> dict[str, Any]:
    return {**asdict(summary), "aliases": PRODUCTION if summary.state == PipelineState.PRODUCTION else ""}


def _row(summary: PipelineSummary) -> tuple[Any, ...]:
    return (
        summary.id,
        summary.name,
        summary.digest[:SHORT_DIGEST],
        summary.code_version,
        f"{summary.created_at:%Y-%m-%d %H:%M}",
        summary.state,
        summary.results,
        "\n".join(map(describe_difference, summary.differences)) or None,
    )
