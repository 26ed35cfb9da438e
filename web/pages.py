"""The pages."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.templating import Jinja2Templates

from web import queries
from web.context import InContext

router = APIRouter(include_in_schema=False)
_CASES_ON_A_PAGE = 100
_templates = Jinja2Templates(Path(__file__).parent / "templates")


@router.get("/")
def index(context: InContext, request: Request, before: int | None = None) -> Response:
    """What the laboratory has, and how far it is."""
    with context.sessions() as session:
        found = queries.cases(session, _CASES_ON_A_PAGE + 1, before)
        status = queries.status(session)
    older = found[_CASES_ON_A_PAGE - 1]["id"] if len(found) > _CASES_ON_A_PAGE else None
    values = {"status": status, "cases": found[:_CASES_ON_A_PAGE], "older": older}
    return _templates.TemplateResponse(request, "index.html", values)


@router.get("/cases/{accession:path}")
def one_case(context: InContext, request: Request, accession: str) -> Response:
    """One case: its karyotype, its counts, its cells with the best first."""
    with context.sessions() as session:
        found = queries.case_detail(session, accession)
    if found is None:
        return _templates.TemplateResponse(request, "missing.html", {"accession": accession}, status_code=404)
    counts = ((found["result"] or {}).get("summary") or {}).get("count_distribution") or {}
    values = {"case": found, "counts": counts, "highest": max(counts.values(), default=1)}
    return _templates.TemplateResponse(request, "case.html", values)
