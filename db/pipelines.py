"""Pipeline versions, identified by the digest of their document, and their aliases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from db.schema import Model, Pipeline, PipelineAlias

PRODUCTION = "production"
"""Alias of the pipeline that analyses new images."""
MIN_DIGEST_PREFIX = 6  # characters of a digest that may name a pipeline
SHORT_DIGEST = 12  # characters of a digest in tables and sentences


class UnknownPipeline(LookupError):
    """A name that means no pipeline, or several."""


class RetiredPipeline(UnknownPipeline):
    """A pipeline that new analyses may not use any more."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(
            f"pipeline {label(pipeline)} is retired since {pipeline.retired_at:%Y-%m-%d %H:%M} UTC; choose another, or "
            f"`karyo models retire {pipeline.digest[:SHORT_DIGEST]} --undo`"
        )


def label(pipeline: Pipeline, characters: int = SHORT_DIGEST) -> str:
    """Return name and short digest for sentences, such as ``embedding (3f2a9c0d1e5b)``."""
    return f"{pipeline.name} ({pipeline.digest[:characters]})"


def register(
    session: Session,
    document: Mapping[str, Any],
    digest: str,
    models: Sequence[Mapping[str, Any]] = (),
) -> int:
    """Store the pipeline with this ``document`` unless it is known, and return its id.

    Args:
        session: an open transaction.
        document: model digests, parameters and code version; must hold ``name``.
        digest: sha256 of the document's canonical JSON, hexadecimal.
        models: ``sha256``, ``name`` and ``card`` of each network that the document names.
    """
    for model in models:
        session.execute(upsert(Model).values(**model).on_conflict_do_nothing())
    values = {"digest": digest, "name": document["name"], "document": dict(document)}
    session.execute(upsert(Pipeline).values(**values).on_conflict_do_nothing())
    return session.scalars(select(Pipeline.id).where(Pipeline.digest == digest)).one()


def set_alias(session: Session, alias: str, pipeline_id: int) -> None:
    """Point ``alias`` to a pipeline; ``pipeline_lifecycle.promote`` also records who did it."""
    session.execute(
        upsert(PipelineAlias)
        .values(alias=alias, pipeline_id=pipeline_id)
        .on_conflict_do_update(index_elements=["alias"], set_={"pipeline_id": pipeline_id, "updated_at": func.now()})
    )


def production_pipeline() -> Select[int]:
    """Return the query for the id of the pipeline in production; at most one row."""
    return select(PipelineAlias.pipeline_id).where(PipelineAlias.alias == PRODUCTION)


def require_usable(session: Session, pipeline_id: int) -> Pipeline:
    """Return a pipeline that is not retired, and keep it so until the transaction ends.

    Raises:
        RetiredPipeline: no new analysis may use it.
    """
    locked = select(Pipeline).where(Pipeline.id == pipeline_id).with_for_update(read=True, key_share=True)
    pipeline = session.scalars(locked.execution_options(populate_existing=True)).one()
    if pipeline.retired_at is not None:
        raise RetiredPipeline(pipeline)
    return pipeline


def resolve(session: Session, name: str, *, allow_retired: bool = False) -> Pipeline:
    """Return the pipeline that an alias, a name or the first characters of a digest mean.

    An alias wins over a name, and a name over a digest. A name means the only pipeline with it that is not retired.

    Args:
        session: an open transaction.
        name: alias, name, or at least ``MIN_DIGEST_PREFIX`` characters of a digest.
        allow_retired: return a retired pipeline too, to compare or restore it.

    Raises:
        RetiredPipeline: the pipeline is retired.
        UnknownPipeline: no pipeline matches, or several do; the message lists the candidates.
    """
    by_alias = select(Pipeline).join(PipelineAlias, PipelineAlias.pipeline_id == Pipeline.id)
    if pipeline := session.scalars(by_alias.where(PipelineAlias.alias == name)).first():
        return pipeline
    every = session.scalars(select(Pipeline).order_by(Pipeline.id.desc())).all()
    usable = [pipeline for pipeline in every if pipeline.retired_at is None]
    by_name = [pipeline for pipeline in usable if pipeline.name == name]
    is_prefix = len(name) >= MIN_DIGEST_PREFIX
    by_digest = [pipeline for pipeline in every if is_prefix and pipeline.digest.startswith(name)]
    candidates = by_name or by_digest or [pipeline for pipeline in every if pipeline.name == name]
    if len(candidates) > 1 and (by_name or by_digest or allow_retired):
        advice = (
            f"have the name {name!r}; give the first characters of a digest"
            if by_name or not by_digest
            else f"have a digest that starts with {name}; give more of it"
        )
        listing = ", ".join(label(pipeline, len(name) + SHORT_DIGEST) for pipeline in candidates)
        raise UnknownPipeline(f"{len(candidates)} pipelines {advice}: {listing}")
    if candidates:
        if candidates[0].retired_at is not None and not allow_retired:
            raise RetiredPipeline(candidates[0])
        return candidates[0]
    aliases = session.scalars(select(PipelineAlias.alias).order_by(PipelineAlias.alias))
    listing = ", ".join([*aliases, *map(label, usable)])
    known = listing or "none yet; `karyo models promote` registers the shipped one"
    raise UnknownPipeline(f"there is no pipeline {name!r}; there are: {known}")
