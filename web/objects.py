"""Artefacts of analyses.

A request names an analysis and an artefact, so no other object of the store can be read.
"""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response
from sqlalchemy import select

from db.retention import describe_removed
from db.schema import Analysis
from storage import ObjectCorrupt, ObjectMissing, StoreUnavailable
from web.context import InContext
from web.schemas import Problem

router = APIRouter(prefix="/objects", tags=["objects"])
_MEDIA_TYPES = {b"\x89PNG\r\n\x1a\n": "image/png", b"<svg ": "image/svg+xml"}
"""Media type by the first bytes of an artefact."""
_SVG_POLICY = "default-src 'none'; img-src data:; base-uri 'none'; frame-ancestors 'none'; sandbox"
"""Content policy of an SVG that is opened as a page of its own: it may load the images within it and nothing else."""


@router.get(
    "/analyses/{analysis_id}/{name}",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {}, "image/svg+xml": {}}, "description": "The artefact"},
        304: {"description": "The browser's copy is current"},
        404: {"model": Problem, "description": "There is no such artefact"},
        410: {"model": Problem, "description": "The retention policy removed it"},
        503: {"model": Problem, "description": "The object store failed"},
    },
)
def artefact(context: InContext, request: Request, analysis_id: int, name: str) -> Response:
    """Return an artefact of an analysis: ``karyogram``, ``karyogram_svg`` or ``overlay``."""
    with context.sessions() as session:
        columns = select(Analysis.artefacts, Analysis.removed_artefacts)
        artefacts, removed = session.execute(columns.where(Analysis.id == analysis_id)).one_or_none() or (None, None)
    key = (artefacts or {}).get(name)
    if key is None and (sentence := describe_removed(removed).get(name)):
        raise HTTPException(410, sentence)
    if not isinstance(key, str):
        raise HTTPException(404, f"Analysis {analysis_id} has no artefact {name!r}.")
    # The key is the digest of the bytes, so a browser that has them need not load them again.
    headers = {"ETag": f'"{key}"', "Cache-Control": "private, max-age=300"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    try:
        data = context.store.get(key)
    except ObjectMissing as error:
        raise HTTPException(404, str(error)) from error
    except (ObjectCorrupt, StoreUnavailable) as error:
        raise HTTPException(503, str(error)) from error
    media_type = next((kind for start, kind in _MEDIA_TYPES.items() if data.startswith(start)), None)
    if media_type == "image/svg+xml":
        headers["Content-Security-Policy"] = _SVG_POLICY
    return Response(data, media_type=media_type or "application/octet-stream", headers=headers)
