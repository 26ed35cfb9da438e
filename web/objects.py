"""Artefacts of analyses. They are asked for by analysis and name, so that nothing else in the store can be had."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response
from sqlalchemy import select

from db.schema import Analysis
from storage import ObjectCorrupt, ObjectMissing, StoreUnavailable
from web.context import InContext

router = APIRouter(prefix="/objects", tags=["objects"])
_KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"<svg ": "image/svg+xml"}
_DRAWING = "default-src 'none'; img-src data:; base-uri 'none'; frame-ancestors 'none'; sandbox"
"""What a drawing may load when it is opened as a page of its own: the pictures within it, and nothing else."""


@router.get("/analyses/{analysis_id}/{name}")
def artefact(context: InContext, request: Request, analysis_id: int, name: str) -> Response:
    """The artefact ``name`` (``karyogram``, ``karyogram_svg``, ``overlay``) of an analysis."""
    with context.sessions() as session:
        artefacts = session.scalar(select(Analysis.artefacts).where(Analysis.id == analysis_id))
    key = (artefacts or {}).get(name)
    if not isinstance(key, str):
        raise HTTPException(404, f"Analysis {analysis_id} has no artefact {name!r}.")
    # The key is the digest of the bytes: a browser that has them needs to ask for nothing more.
    headers = {"ETag": f'"{key}"', "Cache-Control": "private, max-age=300"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    try:
        data = context.store.get(key)
    except ObjectMissing as error:
        raise HTTPException(404, str(error)) from error
    except (ObjectCorrupt, StoreUnavailable) as error:
        raise HTTPException(503, str(error)) from error
    kind = next((kind for start, kind in _KINDS.items() if data.startswith(start)), "application/octet-stream")
    if kind == "image/svg+xml":
        headers["Content-Security-Policy"] = _DRAWING
    return Response(data, media_type=kind, headers=headers)
