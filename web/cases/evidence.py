"""Evidence of a case as its report states it: clones, band levels, numbers of cells."""

from __future__ import annotations

from sqlalchemy.orm import Session

from reports.case_report.document import CaseReport
from reports.case_report.read import read_case_report
from reports.errors import CaseReportError
from web.cases.schemas import CaseDetail, CaseImage


def read_evidence(session: Session, accession: str) -> CaseReport | None:
    """Return the report of a case without pictures; None if its result has no evidence."""
    try:
        return read_case_report(session, None, accession)
    except CaseReportError:
        return None


def order_images(case: CaseDetail, evidence: CaseReport | None) -> list[CaseImage]:
    """Return the images in the order of the report; without one, the best quality first."""
    place = {cell.sha256: cell.number for cell in evidence.cells} if evidence else {}
    return sorted(case.images, key=lambda image: place.get(image.sha256, len(place)))
