"""What a pool process works with: database, object store and pipelines, opened after the fork."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.engine import make_engine, make_sessions
from db.schema import Pipeline as PipelineRow
from karyotyping.image.decode import Limits
from karyotyping.model import AnalysisError, CellAnalysis
from settings import Settings
from storage import ObjectStore, open_store
from worker.process.retries import Transactions

_LOADED_PIPELINES = 2
"""Kept ready at once: production and the one of a campaign."""


class AnalysesImages(Protocol):
    """What the worker needs of a pipeline."""

    def analyse_batch(self, images: Sequence[NDArray[Any]]) -> Sequence[CellAnalysis | AnalysisError]:
        """The analysis of each of several images, or why there is none."""


LoadPipeline = Callable[[Mapping[str, Any], str], AnalysesImages]


def load_pipeline(document: Mapping[str, Any], engine: str) -> AnalysesImages:
    """The pipeline of ``document`` on ``engine``, open: an engine that is missing is no image's fault.

    Raises:
        models.registry.ModelUnavailable: this installation lacks one of its networks.
        models.errors.EngineUnavailable: this machine lacks the engine.
    """
    from karyotyping.pipeline import Pipeline  # noqa: PLC0415  # only pool processes need the science's libraries

    return Pipeline.from_document(dict(document), engine).open()


@dataclass(slots=True)
class Context:
    """One per pool process."""

    settings: Settings
    transact: Transactions
    store: ObjectStore
    load: LoadPipeline
    name: str
    _pipelines: dict[int, AnalysesImages] = field(default_factory=dict)

    @classmethod
    def open(cls, settings: Settings, load: LoadPipeline = load_pipeline) -> Context:
        """Connections of this process; nothing is contacted yet."""
        engine = make_engine(str(settings.database_url), application_name="karyo-worker", pre_ping=False)
        return cls(
            settings=settings,
            transact=Transactions(make_sessions(engine), patience_seconds=settings.lease_seconds),
            store=open_store(str(settings.object_store), endpoint_url=settings.s3_endpoint_url),
            load=load,
            name=f"{socket.gethostname()}:{os.getpid()}",
        )

    @property
    def limits(self) -> Limits:
        """What an image may claim before it is decoded."""
        return Limits(self.settings.max_image_bytes, self.settings.max_image_pixels)

    def pipeline(self, pipeline_id: int) -> AnalysesImages:
        """The pipeline, loaded when first asked for; the one loaded earliest makes room.

        Raises:
            models.registry.ModelUnavailable: this installation lacks one of its networks.
            models.errors.EngineUnavailable: this machine lacks the engine.
        """
        if pipeline_id not in self._pipelines:

            def document(session: Session) -> Mapping[str, Any]:
                return session.get_one(PipelineRow, pipeline_id).document

            loaded = self.load(self.transact(document), self.settings.engine.value)
            for earliest in list(self._pipelines)[: len(self._pipelines) - _LOADED_PIPELINES + 1]:
                del self._pipelines[earliest]
            self._pipelines[pipeline_id] = loaded
        return self._pipelines[pipeline_id]
