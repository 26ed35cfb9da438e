"""The report of a case from the database and the object store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, NamedTuple

from sqlalchemy import Select, func, literal, select
from sqlalchemy.orm import Session

from db.accessions import names_case
from db.case_results import shown_pipeline
from db.pipelines import production_pipeline
from db.schema import Analysis, Case, CaseResult, Chromosome, Image, Pipeline, QcMetrics
from karyotyping.case.decision import Outcome
from karyotyping.case.document import AbnormalityDocument
from karyotyping.case.recurrence import recurrent_classes
from karyotyping.model import MIN_CLASS_SCORE
from reports.case_report.document import (
    Abnormality,
    CaseReport,
    Cell,
    Choice,
    Clone,
    Labels,
    Picture,
    Provenance,
    Sufficiency,
)
from reports.case_report.pictures import read_pictures
from reports.case_report.sign_off import read_sign_off
from reports.case_report.to_check import sentences_to_check
from reports.errors import CaseReportError
from storage import ObjectStore

_CALLED = (Outcome.NORMAL, Outcome.ABNORMAL)


class _Row(NamedTuple):
    """An image of the case with what its analysis found."""

    image: Image
    analysis: Analysis | None
    quality: QcMetrics | None
    unidentified: int | None
    to_check: int | None


def read_case_report(session: Session, store: ObjectStore | None, accession: str) -> CaseReport:
    """Return the report of the case that ``accession`` names, in any spelling.

    The result is that of the pipeline in production, else the latest one.

    Args:
        session: an open transaction.
        store: with the pictures; None for a report without them.
        accession: of the case.

    Raises:
        CaseReportError: there is no such case, or it has no result with evidence.
        StorageError: a picture could not be read.
    """
    case, result, pipeline = _find(session, accession)
    summary: Mapping[str, Any] = result.summary or {}
    rows = _ranked(session, case, pipeline, summary["ranking"])
    numbers = {row.analysis.id: number for number, row in enumerate(rows, start=1) if row.analysis}
    clones = [Clone(**_numbered(clone, numbers)) for clone in summary["clones"]]
    cells = list(_cells(rows, clones))
    outcome = Outcome(summary["outcome"])
    called = outcome in _CALLED
    in_production = pipeline.id == session.scalar(production_pipeline())
    return CaseReport(
        labels=_labels(case, rows),
        outcome=outcome.value,
        why=summary["why"],
        karyotype=summary["karyotype"] if called else None,
        not_called=None if called else summary["karyotype"] or _of_one_cell(summary),
        clones=clones,
        abnormalities=_abnormalities(summary["abnormalities"], numbers),
        non_clonal=_abnormalities(summary["non_clonal"], numbers),
        sufficiency=Sufficiency(**summary["sufficiency"]),
        to_check=list(
            sentences_to_check(
                cells,
                _known(summary["unexplained"], numbers),
                summary["not_examined"],
                _atypical(session, case, pipeline, numbers),
                enough_cells=summary["sufficiency"]["met"],
                stale=result.state != "done",
                in_production=in_production,
            )
        ),
        sign_off=read_sign_off(session, case),
        to_count=_choices(summary.get("to_count", ()), numbers),
        to_karyotype=_choices(summary.get("to_karyotype", ()), numbers),
        cells=cells,
        provenance=Provenance(
            pipeline=pipeline.name,
            pipeline_digest=pipeline.digest,
            in_production=in_production,
            result_at=result.updated_at,
            written_at=datetime.now(UTC),
            software=f"karyoflow {version('karyoflow')}",
        ),
        pictures=_pictures(store, rows, clones) if store else [],
    )


def _find(session: Session, accession: str) -> tuple[Case, CaseResult, Pipeline]:
    query = (
        select(Case, CaseResult, Pipeline)
        .select_from(Case)
        .outerjoin(CaseResult, (CaseResult.case_id == Case.id) & (CaseResult.pipeline_id == shown_pipeline()))
        .outerjoin(Pipeline, Pipeline.id == CaseResult.pipeline_id)
        .where(names_case(accession))
    )
    found = session.execute(query).first()
    if found is None:
        raise CaseReportError(f"there is no case {accession!r}; `karyo report case_status` lists the cases")
    case, result, pipeline = found
    if result is None or result.summary is None:
        raise CaseReportError(
            f"case {case.accession!r} has no result yet; `karyo status` shows whether its images are being analysed"
        )
    if "sufficiency" not in result.summary:
        raise CaseReportError(
            f"the result of case {case.accession!r} is of an earlier version and has no evidence; analyse the case "
            "again with the pipeline of this version (`karyo campaign create --where case=...`)"
        )
    return case, result, pipeline


def _ranked(session: Session, case: Case, pipeline: Pipeline, ranking: Sequence[int]) -> list[_Row]:
    """Return the images by ``ranking``, then those without a place in it by file name."""
    place = {analysis_id: number for number, analysis_id in enumerate(ranking)}

    def order(row: _Row) -> tuple[int, str]:
        return place.get(row.analysis.id, len(place)) if row.analysis else len(place), row.image.file_name

    return sorted((_Row(*row) for row in session.execute(_images(case, pipeline))), key=order)


def _images(case: Case, pipeline: Pipeline) -> Select[Any]:
    unknown, uncertain = Chromosome.class_id.is_(None), Chromosome.class_score < MIN_CLASS_SCORE
    chromosomes = (
        select(
            Chromosome.analysis_id,
            func.count().filter(unknown).label("unidentified"),
            func.count().filter(~unknown, uncertain).label("to_check"),
        )
        .join(Analysis, Analysis.id == Chromosome.analysis_id)
        .join(Image, Image.id == Analysis.image_id)
        .where(Image.case_id == case.id, Analysis.pipeline_id == pipeline.id)
        .group_by(Chromosome.analysis_id)
        .subquery()
    )
    return (
        select(Image, Analysis, QcMetrics, chromosomes.c.unidentified, chromosomes.c.to_check)
        .select_from(Image)
        .outerjoin(Analysis, (Analysis.image_id == Image.id) & (Analysis.pipeline_id == pipeline.id))
        .outerjoin(QcMetrics, QcMetrics.analysis_id == Analysis.id)
        .outerjoin(chromosomes, chromosomes.c.analysis_id == Analysis.id)
        .where(Image.case_id == case.id)
    )


def _atypical(
    session: Session, case: Case, pipeline: Pipeline, numbers: Mapping[int, int]
) -> dict[int, tuple[int, ...]]:
    """Return the cells with the flag ``atypical_banding`` of the classes where it recurs."""
    query = (
        select(Chromosome.class_id, Chromosome.analysis_id)
        .join(Analysis, Analysis.id == Chromosome.analysis_id)
        .where(Analysis.case_id == case.id, Analysis.pipeline_id == pipeline.id)
        .where(literal("atypical_banding") == Chromosome.flags.any_())
    )
    flagged: dict[int, set[int]] = {}
    for class_id, analysis_id in session.execute(query):
        if class_id is not None and analysis_id in numbers:
            flagged.setdefault(class_id, set()).add(numbers[analysis_id])
    return {class_id: tuple(sorted(flagged[class_id])) for class_id in recurrent_classes(flagged, len(numbers))}


def _labels(case: Case, rows: Sequence[_Row]) -> Labels:
    def different(name: str) -> list[str]:
        return sorted({getattr(row.image, name) for row in rows} - {None})

    return Labels(
        accession=case.accession,
        laboratory=case.lab,
        tissue=case.tissue,
        slides=different("slide"),
        bandings=different("banding"),
        microscopes=different("microscope"),
        received_at=case.created_at,
    )


def _cells(rows: Sequence[_Row], clones: Sequence[Clone]) -> Iterator[Cell]:
    clone_of = {cell: place for place, clone in enumerate(clones, start=1) for cell in clone.cells}
    for number, (image, analysis, quality, unidentified, to_check) in enumerate(rows, start=1):
        yield Cell(
            number=number,
            file_name=image.file_name,
            sha256=image.sha256,
            analysis_id=analysis.id if analysis else None,
            state=str(analysis.state) if analysis else "not analysed",
            reason=analysis.error or analysis.reason if analysis else None,
            count=quality.chromosome_count if quality else None,
            iscn=analysis.iscn if analysis else None,
            quality=round(quality.score, 3) if quality else None,
            expected_edits=_edits(quality),
            band_level=quality.band_level if quality else None,
            band_level_low=quality.band_level_low if quality else None,
            band_level_high=quality.band_level_high if quality else None,
            culture=image.culture,
            colony=image.colony,
            flags=sorted(quality.flags) if quality else [],
            clone=clone_of.get(number),
            unexplained_objects=quality.unexplained_objects if quality else None,
            unidentified=unidentified or 0,
            to_check=to_check or 0,
        )


def _edits(quality: QcMetrics | None) -> float | None:
    if quality is None or quality.outline_edits is None or quality.class_edits is None:
        return None
    return round(quality.outline_edits + quality.class_edits, 2)


def _choices(chosen: Sequence[Mapping[str, Any]], numbers: Mapping[int, int]) -> list[Choice]:
    known = [one for one in chosen if one["analysis"] in numbers]
    return [Choice(cell=numbers[one["analysis"]], reason=one["reason"]) for one in known]


def _pictures(store: ObjectStore, rows: Sequence[_Row], clones: Sequence[Clone]) -> list[Picture]:
    """Return the pictures of the best cell of each clone; without clones those of the best cell."""
    chosen = [(min(clone.exact or clone.cells), place) for place, clone in enumerate(clones, 1) if clone.cells]
    pictures: list[Picture] = []
    for number, clone in chosen or [(1, None)][: len(rows)]:
        analysis = rows[number - 1].analysis
        pictures += read_pictures(store, (analysis.artefacts if analysis else None) or {}, number, clone)
    return pictures


def _of_one_cell(summary: Mapping[str, Any]) -> str | None:
    return f"{summary['iscn']} (one cell)" if summary["iscn"] else None


def _abnormalities(found: Sequence[AbnormalityDocument], numbers: Mapping[int, int]) -> list[Abnormality]:
    return [Abnormality(**_numbered(one, numbers)) for one in found]


def _numbered(document: Mapping[str, Any], numbers: Mapping[int, int]) -> dict[str, Any]:
    """Return ``document`` with numbers of cells for its analysis ids."""
    return {name: _known(value, numbers) if name in ("cells", "exact") else value for name, value in document.items()}


def _known(analysis_ids: Sequence[int], numbers: Mapping[int, int]) -> list[int]:
    return sorted(numbers[one] for one in analysis_ids if one in numbers)
