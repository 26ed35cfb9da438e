"""Cases as the API returns them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from db.schema import State
from web.schemas import Schema


class PipelineReference(Schema):
    """The pipeline version that a result is from."""

    name: str
    digest: str
    in_production: bool
    """Whether it analyses new images; if not, the case has no result of the one that does."""


class Headline(Schema):
    """The karyotype of a case, and how far its cells agree."""

    iscn: str | None
    """None if the case is not resolved."""
    resolution: Literal["resolved", "one_cell", "not_resolved"] | None
    """None before the first summary."""
    why: str | None
    """Reason of the resolution, a sentence."""
    modal_count: int | None
    voters: int | None
    """Complete cells with the modal count."""
    karyotype_agreement: float | None
    """Share of the voters with exactly one karyotype, 0..1."""
    count_min: int | None
    """Smallest chromosome count of a cell."""
    count_max: int | None
    """Largest chromosome count of a cell."""
    cells: int | None
    """Cells that the result counts."""


class CaseListEntry(Headline):
    """A case and its last result: that of the production pipeline, as soon as there is one."""

    id: int
    accession: str
    tissue: str | None
    created_at: datetime
    images: int
    """Images of the case, analysed or not."""
    state: Literal["waiting", "stale", "done"]
    """``waiting`` for the first result, ``stale`` until the next summary."""
    pipeline: PipelineReference | None
    """The pipeline of the result."""


class CloneCount(TypedDict):
    """A minority karyotype and its cells."""

    iscn: str
    cells: int


@with_config(ConfigDict(extra="allow"))
class SummaryDocument(TypedDict, total=False):
    """Summary of a case as its pipeline wrote it; see ``CaseSummary`` in ``karyotyping``."""

    cell_count: int
    modal_count: int | None
    tied_counts: list[int]
    iscn: str | None
    resolution: str
    outcome: Literal["normal", "abnormal", "suspected", "insufficient"]
    why: str
    voters: int
    karyotype_agreement: float | None
    count_min: int | None
    count_max: int | None
    count_distribution: dict[str, int]
    consensus: dict[str, int]
    agreement: dict[str, float]
    ranking: list[int]
    mosaic_hint: list[CloneCount]


class CaseResultView(Headline):
    """The result of a case."""

    state: Literal["stale", "done"]
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
    """None if the image is no metaphase."""
    reason: str | None
    """Name of the reason for which the analysis ended badly."""
    error: str | None
    """The reason in a sentence."""
    chromosome_count: int | None
    unexplained_objects: int | None
    """Objects that may be chromosomes and are none in the result; None if not measured."""
    quality: float | None
    """Quality score, 0..1."""
    flags: list[str]
    artefacts: list[str]
    """Names under which ``/objects/analyses/{analysis_id}/`` serves artefacts."""
    removed: list[str]
    """Sentences about artefacts that the retention policy removed."""


class CaseDetail(Schema):
    """A case, its result and its images, the best quality first."""

    accession: str
    lab: str | None
    tissue: str | None
    created_at: datetime
    pipeline: PipelineReference | None
    """The pipeline of the result, else the one in production."""
    result: CaseResultView | None
    images: list[CaseImage]
