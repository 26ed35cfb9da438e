"""Cases as the API returns them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from db.schema import State
from web.schemas import Schema


class CaseListEntry(Schema):
    """A case and the result of the production pipeline, else of the latest one."""

    id: int
    accession: str
    tissue: str | None
    created_at: datetime
    images: int
    """Images of the case, analysed or not."""
    state: Literal["waiting", "stale", "done"]
    """``waiting`` for the first result, ``stale`` until the next summary."""
    iscn: str | None
    modal_count: int | None
    cells: int | None
    """Cells that the result counts."""


class PipelineReference(Schema):
    """The pipeline version that a result is from."""

    name: str
    digest: str


class CloneCount(TypedDict):
    """A minority karyotype and its cells."""

    iscn: str
    cells: int


@with_config(ConfigDict(extra="allow"))
class SummaryDocument(TypedDict, total=False):
    """Summary of a case as its pipeline wrote it; see ``CaseSummary`` in ``karyotyping``."""

    cell_count: int
    modal_count: int | None
    iscn: str | None
    count_distribution: dict[str, int]
    consensus: dict[str, int]
    agreement: dict[str, float]
    ranking: list[int]
    mosaic_hint: list[CloneCount]


class CaseResultView(Schema):
    """The result of a case."""

    state: Literal["stale", "done"]
    iscn: str | None
    modal_count: int | None
    cells: int | None
    summary: SummaryDocument | None
    artefacts: list[str]
    """Names of artefacts of the case."""


class CaseImage(Schema):
    """An image of a case and its analysis by the pipeline of the result."""

    file_name: str
    sha256: str
    analysis_id: int | None
    state: State | Literal["not analysed"]
    iscn: str | None
    reason: str | None
    """Name of the reason for which the analysis ended badly."""
    error: str | None
    """The reason in a sentence."""
    chromosome_count: int | None
    quality: float | None
    """Quality score, 0..1."""
    flags: list[str]
    artefacts: list[str]
    """Names under which ``/objects/analyses/{analysis_id}/`` serves artefacts."""


class CaseDetail(Schema):
    """A case, its result and its images, the best quality first."""

    accession: str
    lab: str | None
    tissue: str | None
    created_at: datetime
    pipeline: PipelineReference | None
    result: CaseResultView | None
    images: list[CaseImage]
