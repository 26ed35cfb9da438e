"""Cases in the API."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query

from web.cases import queries
from web.cases.schemas import CaseDetail, CaseListEntry
from web.context import InContext
from web.schemas import Problem

router = APIRouter(prefix="/cases")


@router.get("")
def cases(
    context: InContext, limit: Annotated[int, Query(ge=1, le=1000)] = 100, before: int | None = None
) -> list[CaseListEntry]:
    """Return cases, the latest first; ``before`` is the last ``id`` of the previous page."""
    with context.sessions() as session:
        return queries.list_cases(session, limit, before)


@router.get("/{accession:path}", responses={404: {"model": Problem, "description": "There is no such case"}})
def one_case(context: InContext, accession: str) -> CaseDetail:
    """Return a case, its result and its images, the best quality first."""
    with context.sessions() as session:
        detail = queries.case_detail(session, accession)
    if detail is None:
        raise HTTPException(404, f"There is no case {accession!r}.")
    return detail
