"""Resources of a pool process: database, object store and pipelines, opened after the fork."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.engine import make_engine, make_sessions
from db.outages import RetryingTransactions
from db.schema import Pipeline as PipelineRow
from karyotyping.image.decode import Limits
from karyotyping.model import AnalysisError, CellAnalysis
from settings import Settings
from storage import ObjectStore, open_store
from worker.process.retries import retrying_transactions

LOADED_PIPELINES = 2  # kept open at once: that of production and that of a campaign


class AnalysisPipeline(Protocol):
    """Part of a pipeline that the worker uses."""

    def analyse_batch(self, images: Sequence[NDArray[Any]]) -> Sequence[CellAnalysis | AnalysisError]:
        """Return, for each grey (H, W) image, its analysis or why there is none."""


LoadPipeline = Callable[[Mapping[str, Any], str], AnalysisPipeline]
"""Opens the pipeline of a document on an engine."""


def load_pipeline(document: Mapping[str, Any], engine: str) -> AnalysisPipeline:
    """Open the pipeline of ``document`` on ``engine``, so that a missing engine fails no image.

    Raises:
        models.registry.ModelUnavailable: this installation lacks one of its networks.
        models.errors.EngineUnavailable: this machine lacks the engine.
    """
    from karyotyping.pipeline import Pipeline  # noqa: PLC0415  # only pool processes load the science

    return Pipeline.from_document(dict(document), engine).open()


@dataclass(slots=True)
class Resources:
    """Connections and pipelines; one object per pool process."""

    settings: Settings
    transact: RetryingTransactions
    store: ObjectStore
    load: LoadPipeline
    name: str
    """Of the process, as ``host:pid``."""
    _pipelines: dict[int, AnalysisPipeline] = field(default_factory=dict)

    @classmethod
    def open(cls, settings: Settings, load: LoadPipeline = load_pipeline) -> Resources:
        """Return the resources of this process; connects to nothing yet."""
        engine = make_engine(str(settings.database_url), application_name="karyo-worker", pre_ping=False)
        return cls(
            settings=settings,
            transact=retrying_transactions(make_sessions(engine), settings.lease_seconds),
            store=open_store(str(settings.object_store), endpoint_url=settings.s3_endpoint_url),
            load=load,
            name=f"{socket.gethostname()}:{os.getpid()}",
        )

    @property
    def limits(self) -> Limits:
        """Bounds on the header of an image, checked before it is decoded."""
        return Limits(self.settings.max_image_bytes, self.settings.max_image_pixels)

    def pipeline(self, pipeline_id: int) -> AnalysisPipeline:
        """Return a pipeline; it is loaded at its first use, in place of the oldest one.

        Raises:
            models.registry.ModelUnavailable: this installation lacks one of its networks.
            models.errors.EngineUnavailable: this machine lacks the engine.
        """
        if pipeline_id not in self._pipelines:

            def document(session: Session) -> Mapping[str, Any]:
                return session.get_one(PipelineRow, pipeline_id).document

            loaded = self.load(self.transact(document), self.settings.engine.value)
            for earliest in list(self._pipelines)[: len(self._pipelines) - LOADED_PIPELINES + 1]:
                del self._pipelines[earliest]
            self._pipelines[pipeline_id] = loaded
        return self._pipelines[pipeline_id]
