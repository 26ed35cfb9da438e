"""The pages."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.templating import Jinja2Templates

from db import campaigns
from reports.case_report.page import percent
from reports.case_report.to_check import ranges
from web.cases import queries
from web.cases.evidence import order_images, read_evidence
from web.context import InContext
from web.links import case_path
from web.status import read_status

router = APIRouter(include_in_schema=False)
CASES_PER_PAGE = 100
CAMPAIGNS_PER_PAGE = 100
_templates = Jinja2Templates(Path(__file__).parent / "templates")
_templates.env.globals |= {"case_path": case_path, "percent": percent, "ranges": ranges}


@router.get("/")
def index(context: InContext, request: Request, before: int | None = None) -> Response:
    """Return the page with the numbers and the list of cases."""
    with context.sessions() as session:
        cases = queries.list_cases(session, CASES_PER_PAGE + 1, before)
        status = read_status(session)
    older = cases[CASES_PER_PAGE - 1].id if len(cases) > CASES_PER_PAGE else None
    values = {"status": status, "cases": cases[:CASES_PER_PAGE], "older": older}
    return _templates.TemplateResponse(request, "index.html", values)


@router.get("/campaigns")
def all_campaigns(context: InContext, request: Request) -> Response:
    """Return the page of the latest campaigns and their progress."""
    with context.sessions() as session:
        listed = campaigns.list_progress(session, CAMPAIGNS_PER_PAGE)
    left = {one.id: timedelta(seconds=one.seconds_left) for one in listed if one.seconds_left}
    return _templates.TemplateResponse(request, "campaigns.html", {"campaigns": listed, "left": left})


@router.get("/cases/{accession:path}")
def one_case(context: InContext, request: Request, accession: str) -> Response:
    """Return the page of one case: karyotype, clones, counts and cells."""
    with context.sessions() as session:
        case = queries.case_detail(session, accession)
        evidence = read_evidence(session, accession) if case else None
    if case is None:
        return _templates.TemplateResponse(request, "missing.html", {"accession": accession}, status_code=404)
    summary = case.result.summary if case.result else None
    counts = (summary or {}).get("count_distribution", {})
    values = {
        "case": case,
        "evidence": evidence,
        "cells": {cell.sha256: cell for cell in evidence.cells} if evidence else {},
        "images": order_images(case, evidence),
        "counts": counts,
        "highest": max(counts.values(), default=1),
    }
    return _templates.TemplateResponse(request, "case.html", values)
