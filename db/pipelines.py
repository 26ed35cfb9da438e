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


class UnknownPipeline(LookupError):
    """A name that means no pipeline, or several."""


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
    """Point ``alias`` to a pipeline."""
    session.execute(
        upsert(PipelineAlias)
        .values(alias=alias, pipeline_id=pipeline_id)
        .on_conflict_do_update(index_elements=["alias"], set_={"pipeline_id": pipeline_id, "updated_at": func.now()})
    )


def production_pipeline() -> Select[int]:
    """Return the query for the id of the pipeline in production; at most one row."""
    return select(PipelineAlias.pipeline_id).where(PipelineAlias.alias == PRODUCTION)


def resolve(session: Session, name: str) -> Pipeline:
    """Return the pipeline that an alias, a name or the first characters of a digest mean.

    An alias wins over a name, and a name over a digest. Of several pipelines with one name, the newest is returned.

    Raises:
        UnknownPipeline: no pipeline matches, or the digest is ambiguous; the message lists the known names.
    """
    by_alias = select(Pipeline).join(PipelineAlias, PipelineAlias.pipeline_id == Pipeline.id)
    if pipeline := session.scalars(by_alias.where(PipelineAlias.alias == name)).first():
        return pipeline
    if pipeline := session.scalars(select(Pipeline).where(Pipeline.name == name).order_by(Pipeline.id.desc())).first():
        return pipeline
    if len(name) >= MIN_DIGEST_PREFIX:
        matches = session.scalars(select(Pipeline).where(Pipeline.digest.startswith(name, autoescape=True))).all()
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UnknownPipeline(f"{len(matches)} pipelines have a digest that starts with {name}; give more of it")
    known = session.scalars(select(PipelineAlias.alias).union(select(Pipeline.name))).all()
    listing = ", ".join(sorted(known)) or "none yet; `karyo models promote` registers the shipped one"
    raise UnknownPipeline(f"there is no pipeline {name!r}; there are: {listing}")
