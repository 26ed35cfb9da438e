"""Task that summarises a case when the last of its analyses has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import queue
from db.classes import StoredClass, list_classes
from db.queue import StaleCase
from db.schema import Analysis, Case, Image, QcMetrics, State
from karyotyping.case.cell import CellFacts, CellSummary
from karyotyping.case_summary import CaseSummary, summarise
from settings.failpoint import failpoint
from telemetry.logs import get_logger
from worker.process.resources import Resources

log = get_logger("worker")


class _StoredCase(NamedTuple):
    """What the summary of a case is made of."""

    image_count: int
    tissue: str | None
    cells: dict[int, Any]
    """Rows of the finished analyses by number."""
    classes: dict[int, list[StoredClass]]


def summarise_case(resources: Resources, stale: StaleCase, should_leave: Callable[[], bool]) -> None:
    """Write the summary of a case, unless another of its analyses has ended in the meantime.

    A case of many cells takes longer to judge than a transaction may be idle, so reading and writing are two.

    Args:
        resources: of this process.
        stale: the case at the time of the message.
        should_leave: ends the retries during an outage of the database when it returns True.
    """
    stored = resources.transact(lambda session: _read(session, stale), until=should_leave)
    cells = (_cell(row, stored.classes[row.id]) for row in stored.cells.values())
    summary = summarise(cells, tissue=stored.tissue)
    written = resources.transact(lambda session: _write(session, stale, stored, summary), until=should_leave)
    event = "case.summarised" if written else "case.summary_dropped"
    log.info(event, case=stale.case_id, pipeline=stale.pipeline_id, revision=stale.revision)


def _read(session: Session, stale: StaleCase) -> _StoredCase:
    of_case = (Image.case_id == stale.case_id, Analysis.pipeline_id == stale.pipeline_id)
    analyses = select(func.count()).select_from(Analysis).join(Image, Image.id == Analysis.image_id)
    cells = {row.id: row for row in session.execute(_done(stale))}
    return _StoredCase(
        image_count=session.scalars(analyses.where(*of_case)).one(),
        tissue=session.scalar(select(Case.tissue).where(Case.id == stale.case_id)),  # None if it was erased
        cells=cells,
        classes=list_classes(session, cells),
    )


def _write(session: Session, stale: StaleCase, stored: _StoredCase, summary: CaseSummary) -> bool:
    # The karyogram of a case is that of its best cell, which is in the store already.
    artefacts = (stored.cells[summary.ranking[0]].artefacts or {}) if summary.ranking else {}
    failpoint("summarised")
    return queue.write_case(
        session,
        stale,
        summary=summary.to_json(),
        artefacts=artefacts,
        image_count=stored.image_count,
        cell_count=summary.cell_count,
        modal_count=summary.modal_count,
        count_min=summary.count_min,
        count_max=summary.count_max,
        iscn=summary.iscn,
        resolution=summary.resolution,
        why=summary.why,
        voters=summary.voters,
        karyotype_agreement=summary.karyotype_agreement,
    )


def _cell(analysis: Any, classes: Sequence[StoredClass]) -> CellSummary:
    """Return the summary of one analysis from its row and the classes of its chromosomes."""
    called = analysis.iscn is not None
    facts = CellFacts(
        culture=analysis.culture,
        colony=analysis.colony,
        band_level=analysis.band_level,
        outline_edits=analysis.outline_edits,
        class_edits=analysis.class_edits,
        unexplained_objects=analysis.unexplained_objects,
    )
    return CellSummary.of_classes(analysis.id, classes, quality_score=analysis.score, called=called, **facts)


def _done(stale: StaleCase) -> Any:
    return (
        select(
            Analysis.id,
            Analysis.iscn,
            Analysis.artefacts,
            QcMetrics.score,
            QcMetrics.band_level,
            QcMetrics.outline_edits,
            QcMetrics.class_edits,
            QcMetrics.unexplained_objects,
            Image.culture,
            Image.colony,
        )
        .join(Image, Image.id == Analysis.image_id)
        .join(QcMetrics, QcMetrics.analysis_id == Analysis.id)
        .where(Image.case_id == stale.case_id, Analysis.pipeline_id == stale.pipeline_id, Analysis.state == State.DONE)
    )
