"""The content of a case report. Its JSON is the report for machines."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Labels(_Document):
    """What the laboratory said about the case; lists have the different labels of its images."""

    accession: str
    laboratory: str | None
    tissue: str | None
    slides: list[str]
    bandings: list[str]
    microscopes: list[str]
    received_at: datetime


class Clone(_Document):
    """A clone and its evidence. Cells are numbers of ``cells`` of the report."""

    iscn: str
    """Karyotype with the number of cells in brackets."""
    changes: list[str]
    """Gains and losses; empty for a normal clone."""
    cells: list[int]
    """Cells that are assigned to it."""
    exact: list[int]
    """Those of them that show exactly its chromosomes."""
    posterior: float
    """Probability that the case has this clone, 0..1."""
    artefact: float
    """Probability that it is made of lost, misread and extra chromosomes, 0..1."""
    established: bool
    """Whether it is part of the karyotype."""


class Abnormality(_Document):
    """A gain or loss, and the cells that show it."""

    change: str
    cells: list[int]
    clonal: bool
    """Whether the cells are as many as make a clone (ISCN 2024, 4.5.1)."""
    artefact: float
    """Probability that lost, misread and extra chromosomes alone explain these cells, 0..1."""


class Requirement(_Document):
    """A number that the policy asks for."""

    name: str
    """``counted``, ``analysed``, ``karyotyped``, ``cultures`` or ``colonies``."""
    needed: int
    found: int | None
    """None if the images do not record it."""
    missing: int


class Sufficiency(_Document):
    """Whether the case has the cells that the laboratory's policy asks for."""

    policy: str
    """Version of the policy and name of the specimen."""
    met: bool
    why: str
    """What is missing and why, in sentences."""
    requirements: list[Requirement]
    excluded_mosaicism: float | None
    """Smallest share of abnormal cells that the counted cells exclude, 0..1; None if they exclude none."""
    alpha: float
    """Probability of missing such a mosaicism, 0..1."""
    miscounted: float
    """Probability that an abnormal cell does not show its abnormality, 0..1."""
    independent_cells: bool
    band_level: int | None = None
    """Bands per haploid set that as many counted cells resolve as are karyotyped; None if unknown."""
    band_level_wanted: int = 0
    """What the policy wants; 0 for none. A lower level changes no karyotype."""


class Cell(_Document):
    """An image of the case and its result."""

    number: int
    """1 is the cell with the fewest expected edits."""
    file_name: str
    sha256: str
    analysis_id: int | None
    """None if the pipeline of the report has not analysed the image."""
    state: str
    reason: str | None
    """Why there is no result, a sentence."""
    count: int | None
    iscn: str | None
    """None if the image is no metaphase."""
    quality: float | None
    """0..1."""
    expected_edits: float | None
    """Expected chromosomes that are missed, falsely found, or of a wrong class; None if not predicted."""
    band_level: int | None
    """Bands per haploid set that the cell resolves; None if unknown. Not part of the karyotype."""
    band_level_low: int | None
    """Lower end of its interval of 90 %."""
    band_level_high: int | None
    """Upper end of its interval of 90 %."""
    culture: str | None
    colony: str | None
    flags: list[str]
    clone: int | None
    """Place of its clone in ``clones``, from 1; None if no clone explains the cell."""
    unexplained_objects: int | None
    """Objects that may be chromosomes and are none in the result; None if not measured."""
    unidentified: int
    """Chromosomes without a class."""
    to_check: int
    """Chromosomes with an uncertain class."""


class Choice(_Document):
    """A cell that is worth counting or karyotyping."""

    cell: int
    reason: str
    """What speaks for and against it, a sentence."""


class Picture(_Document):
    """A picture of a cell."""

    kind: Literal["karyogram", "overlay"]
    """``overlay`` is the metaphase with the outlines of its chromosomes."""
    cell: int
    clone: int | None
    media_type: str
    data: str
    """Content of the file in base64 (RFC 4648, section 4)."""

    @property
    def uri(self) -> str:
        """Data URI of the picture."""
        return f"data:{self.media_type};base64,{self.data}"


class SignOff(_Document):
    """The last sign-off of the case."""

    state: Literal["signed", "first_signed", "reopened"]
    """``first_signed``: the second reader is missing. ``reopened``: corrected or analysed further since."""
    karyotype: str | None
    """As signed, with the corrections; None if the sign-off states none."""
    readers: list[str]
    signed_at: datetime
    """When the last of them signed."""
    pipeline_digest: str
    """Of the pipeline whose result was signed."""


class Provenance(_Document):
    """What made the result and the report."""

    pipeline: str
    pipeline_digest: str
    in_production: bool
    """Whether the pipeline analyses new images."""
    result_at: datetime
    written_at: datetime
    software: str
    """Name and version."""


class CaseReport(_Document):
    """A case, its outcome, the evidence, and what a person must check."""

    report_version: Literal["1"] = "1"
    """Of this document; grows when a field changes its meaning or goes."""
    labels: Labels
    outcome: Literal["normal", "abnormal", "suspected", "insufficient"]
    why: str
    """Reason of the outcome, a sentence."""
    karyotype: str | None
    """In ISCN; None unless the outcome is normal or abnormal."""
    not_called: str | None
    """Most probable clones, or the karyotype of the only cell, where the case has no karyotype."""
    clones: list[Clone]
    abnormalities: list[Abnormality]
    """Of the clones."""
    non_clonal: list[Abnormality]
    """Departures of cells from their clones."""
    sufficiency: Sufficiency
    to_check: list[str]
    """What a person must check, in sentences."""
    sign_off: SignOff | None
    """None if nobody has signed."""
    to_count: list[Choice]
    """Cells to count, best first."""
    to_karyotype: list[Choice]
    """Cells to karyotype, best first."""
    cells: list[Cell]
    provenance: Provenance
    pictures: list[Picture]
    """Of the best cell of each clone."""

    @property
    def is_signed_elsewhere(self) -> bool:
        """Whether the result of another pipeline was signed than the one in this report."""
        return self.sign_off is not None and self.sign_off.pipeline_digest != self.provenance.pipeline_digest

    @property
    def is_signed(self) -> bool:
        """Whether every reader has signed, and nothing has changed since."""
        return self.sign_off is not None and self.sign_off.state == "signed"
