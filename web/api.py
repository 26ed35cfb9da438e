"""The HTTP API, ``/api/v1``."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, TypeGuard

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from db.schema import PRIORITIES
from ingest import IngestSummary, ingest_folder
from ingest.sources.folder import Labels
from karyotyping.image.decode import Limits
from storage import StorageError
from web import queries
from web.access import may_write
from web.context import Context, InContext

router = APIRouter(prefix="/api/v1", tags=["api"])

MAX_FILES = 200
_COPY_BYTES = 2**20
_LONGEST_NAME = 200
_UPLOAD_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files", "case"],
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "case": {"type": "string", "description": "Pseudonymous accession number"},
                        "lab": {"type": "string", "description": "Laboratory that the case is from"},
                        "priority": {"type": "string", "enum": list(PRIORITIES), "default": "routine"},
                    },
                }
            }
        },
    }
}


@router.get("/status")
def status(context: InContext) -> dict[str, Any]:
    """Analyses by state."""
    with context.sessions() as session:
        return queries.status(session)


@router.get("/cases")
def cases(
    context: InContext, limit: Annotated[int, Query(ge=1, le=1000)] = 100, before: int | None = None
) -> list[dict[str, Any]]:
    """Cases, the latest first; ``before`` takes the ``id`` of the last one of the page before."""
    with context.sessions() as session:
        return queries.cases(session, limit, before)


@router.get("/cases/{accession:path}")
def one_case(context: InContext, accession: str) -> dict[str, Any]:
    """A case, its result and its images, the best first."""
    with context.sessions() as session:
        found = queries.case_detail(session, accession)
    if found is None:
        raise HTTPException(404, f"There is no case {accession!r}.")
    return found


@router.post(
    "/images",
    status_code=201,
    dependencies=[Depends(may_write)],
    openapi_extra=_UPLOAD_SCHEMA,
    responses={413: {"description": "Larger than an upload may be"}, 422: {"description": "No file was taken"}},
)
async def upload(context: InContext, request: Request) -> dict[str, Any]:
    """Take in images of one case: new ones are queued for analysis, known ones are named so, bad ones say why."""
    limit = context.settings.max_image_bytes
    _check_length(request, 2 * limit)
    async with request.form(max_files=MAX_FILES, max_fields=16) as form:
        labels = _labels(form)
        files = [file for file in form.getlist("files") if isinstance(file, UploadFile)]
        if not files:
            raise HTTPException(422, "Send at least one image in the field 'files'.")
        summary = await run_in_threadpool(_take_in, context, files, labels)
    if not summary.image_ids:
        raise HTTPException(422, summary.to_json())
    return summary.to_json()


def _check_length(request: Request, limit: int) -> None:
    """Before a byte of the body is read."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise HTTPException(411, "Send the length of the body (Content-Length).")
    if int(length) > limit:
        raise HTTPException(413, f"An upload may have {limit} bytes in all; send the images in several.")


def _labels(form: FormData) -> Labels:
    case, lab, priority = form.get("case"), form.get("lab") or "", form.get("priority") or "routine"
    if not _is_name(case) or not case.strip():
        raise HTTPException(422, f"Name the case in the field 'case', in 1 to {_LONGEST_NAME} printable characters.")
    if not _is_name(lab):
        raise HTTPException(422, f"A laboratory is named in at most {_LONGEST_NAME} printable characters.")
    if not isinstance(priority, str) or priority not in PRIORITIES:
        raise HTTPException(422, f"The priority is one of {', '.join(PRIORITIES)}.")
    return Labels(case.strip(), lab.strip() or None, priority=PRIORITIES[priority])


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= _LONGEST_NAME and value.isprintable()


def _take_in(context: Context, files: list[UploadFile], labels: Labels) -> IngestSummary:
    """Ingest the files as a folder of their own; a name sent by a client names no path outside it."""
    with context.sessions() as session:
        pipeline_id = queries.production_pipeline(session)
    if pipeline_id is None:
        raise HTTPException(503, "No pipeline is in production yet; `karyo models --help` tells how to put one there.")
    settings = context.settings
    with TemporaryDirectory(prefix="karyo-upload-") as folder:
        for number, file in enumerate(files):
            part = Path(folder) / f"{number:03}"
            part.mkdir()
            with (part / _safe_name(file.filename)).open("wb") as copy:
                while data := file.file.read(_COPY_BYTES):
                    copy.write(data)
        try:
            return ingest_folder(
                context.sessions,
                context.store,
                Path(folder),
                pipeline_id=pipeline_id,
                case=labels.case,
                lab=labels.lab,
                priority=labels.priority,
                limits=Limits(settings.max_image_bytes, settings.max_image_pixels),
            )
        except StorageError as error:
            raise HTTPException(503, str(error)) from error


def _safe_name(name: str | None) -> str:
    r"""The last part of a client's path, printable, not hidden.

    >>> _safe_name("..\\..\\cell\n1.tif"), _safe_name("../.png"), _safe_name(None)
    ('cell_1.tif', '_.png', 'image')
    """
    last = (name or "image").replace("\\", "/").rpartition("/")[2]
    printable = "".join(character if character.isprintable() else "_" for character in last)[-_LONGEST_NAME:]
    return f"_{printable}" if printable.startswith(".") or not printable else printable
