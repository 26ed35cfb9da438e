"""Pipeline versions: immutable documents known by their digest, and the aliases that move between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db.schema import Model, Pipeline, PipelineAlias

SHORTEST_DIGEST = 6
"""Characters of a digest that name a pipeline."""


class UnknownPipeline(LookupError):
    """No pipeline goes by that name, or more than one does."""


def register(
    session: Session,
    document: Mapping[str, Any],
    digest: str,
    models: Sequence[Mapping[str, Any]] = (),
) -> int:
    """Id of the pipeline with this ``document``, which is stored if it is new.

    Args:
        session: an open transaction.
        document: model digests, parameters and code version; must hold ``name``.
        digest: sha256 of the document's canonical JSON, hexadecimal.
        models: ``sha256``, ``name`` and ``card`` of each network that the document names.
    """
    for model in models:
        session.execute(insert(Model).values(**model).on_conflict_do_nothing())
    values = {"digest": digest, "name": document["name"], "document": dict(document)}
    session.execute(insert(Pipeline).values(**values).on_conflict_do_nothing())
    return session.scalars(select(Pipeline.id).where(Pipeline.digest == digest)).one()


def set_alias(session: Session, alias: str, pipeline_id: int) -> None:
    """Let ``alias`` mean this pipeline from now on."""
    session.execute(
        insert(PipelineAlias)
        .values(alias=alias, pipeline_id=pipeline_id)
        .on_conflict_do_update(index_elements=["alias"], set_={"pipeline_id": pipeline_id, "updated_at": func.now()})
    )


def resolve(session: Session, name: str) -> Pipeline:
    """The pipeline that an alias, a name or the beginning of a digest means; of one name, the newest.

    Raises:
        UnknownPipeline: with a sentence that says which pipelines there are.
    """
    by_alias = select(Pipeline).join(PipelineAlias, PipelineAlias.pipeline_id == Pipeline.id)
    if found := session.scalars(by_alias.where(PipelineAlias.alias == name)).first():
        return found
    if found := session.scalars(select(Pipeline).where(Pipeline.name == name).order_by(Pipeline.id.desc())).first():
        return found
    if len(name) >= SHORTEST_DIGEST:
        matches = session.scalars(select(Pipeline).where(Pipeline.digest.startswith(name, autoescape=True))).all()
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UnknownPipeline(f"{len(matches)} pipelines have a digest that starts with {name}; give more of it")
    known = session.scalars(select(PipelineAlias.alias).union(select(Pipeline.name))).all()
    listing = ", ".join(sorted(known)) or "none yet; `karyo models promote` registers the shipped one"
    raise UnknownPipeline(f"there is no pipeline {name!r}; there are: {listing}")
