"""The pages."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.templating import Jinja2Templates

from web.cases import queries
from web.context import InContext
from web.links import case_path
from web.status import read_status

router = APIRouter(include_in_schema=False)
CASES_PER_PAGE = 100
_templates = Jinja2Templates(Path(__file__).parent / "templates")
_templates.env.globals["case_path"] = case_path


@router.get("/")
def index(context: InContext, request: Request, before: int | None = None) -> Response:
    """Return the page with the numbers and the list of cases."""
    with context.sessions() as session:
        cases = queries.list_cases(session, CASES_PER_PAGE + 1, before)
        status = read_status(session)
    older = cases[CASES_PER_PAGE - 1].id if len(cases) > CASES_PER_PAGE else None
    values = {"status": status, "cases": cases[:CASES_PER_PAGE], "older": older}
    return _templates.TemplateResponse(request, "index.html", values)


@router.get("/cases/{accession:path}")
def one_case(context: InContext, request: Request, accession: str) -> Response:
    """Return the page of one case: karyotype, counts, cells with the best quality first."""
    with context.sessions() as session:
        case = queries.case_detail(session, accession)
    if case is None:
        return _templates.TemplateResponse(request, "missing.html", {"accession": accession}, status_code=404)
    summary = case.result.summary if case.result else None
    counts = (summary or {}).get("count_distribution", {})
    values = {"case": case, "counts": counts, "highest": max(counts.values(), default=1)}
    return _templates.TemplateResponse(request, "case.html", values)
