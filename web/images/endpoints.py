"""Upload of images."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from db.pipelines import production_pipeline
from db.schema import Priority
from ingest.batch import IngestSummary, ingest
from ingest.sources.labels import COLUMNS, MAX_LABEL_LENGTH, LabelError, Labels, read_labels
from ingest.sources.upload import UploadedFile, UploadSource
from karyotyping.image.decode import Limits
from storage import StorageError
from web.access import may_write
from web.context import Context, InContext
from web.images.schemas import UploadRefused, UploadSummary
from web.schemas import Problem

router = APIRouter(prefix="/images")

MAX_FILES = 200  # in one upload
MAX_FIELDS = 16  # in one upload
ADVICE = {
    "case": f"Name the case in the field 'case', in 1 to {MAX_LABEL_LENGTH} printable characters.",
    "lab": f"A laboratory is named in at most {MAX_LABEL_LENGTH} printable characters.",
    "priority": f"The priority is one of {', '.join(Priority.labels())}.",
}
"""What to do about a field that is not usable."""
UPLOAD_SCHEMA: dict[str, Any] = {
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
                        "slide": {"type": "string"},
                        "culture": {"type": "string", "description": "Culture of every image"},
                        "colony": {"type": "string", "description": "Colony of every image, in situ"},
                        "tissue": {"type": "string"},
                        "banding": {"type": "string"},
                        "microscope": {"type": "string"},
                        "captured_at": {"type": "string", "description": "Of every image"},
                        "channel": {"type": "string", "description": "Channel of files with several"},
                        "plane": {"type": "integer", "minimum": 0, "description": "Plane of files with several"},
                        "priority": {"type": "string", "enum": Priority.labels(), "default": "routine"},
                    },
                }
            }
        },
    }
}


@router.post(
    "",
    status_code=201,
    dependencies=[Depends(may_write)],
    openapi_extra=UPLOAD_SCHEMA,
    responses={
        401: {"model": Problem, "description": "The API key is missing or not valid"},
        403: {"model": Problem, "description": "The API key may not write"},
        411: {"model": Problem, "description": "The length of the body is not given"},
        413: {"model": Problem, "description": "Larger than an upload may be"},
        422: {"model": UploadRefused, "description": "No file was taken"},
        503: {"model": Problem, "description": "No pipeline is in production, or the object store failed"},
    },
)
async def upload(context: InContext, request: Request) -> UploadSummary:
    """Store images of one case and enqueue them; known ones are counted, bad ones rejected."""
    limit = context.settings.max_image_bytes
    _check_length(request, 2 * limit)
    async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS) as form:
        labels = _labels(form)
        files = [file for file in form.getlist("files") if isinstance(file, UploadFile)]
        if not files:
            raise HTTPException(422, "Send at least one image in the field 'files'.")
        summary = await run_in_threadpool(_ingest, context, files, labels)
    if not summary.image_ids:
        raise HTTPException(422, summary.to_json())
    return UploadSummary.model_validate(summary)


def _check_length(request: Request, limit: int) -> None:
    """Refuse a body without a length, or of more than ``limit`` bytes, before it is read."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise HTTPException(411, "Send the length of the body (Content-Length).")
    if int(length) > limit:
        raise HTTPException(413, f"An upload may have {limit} bytes in all; send the images in several.")


def _labels(form: FormData) -> Labels:
    values = {}
    for column in COLUMNS:
        given = form.getlist(column)
        if len(given) > 1:
            raise HTTPException(422, f"The field {column!r} is given {len(given)} times; send it once.")
        value = given[0] if given else ""
        if not isinstance(value, str):
            raise HTTPException(422, f"The field {column!r} is text, not a file.")
        values[column] = value
    try:
        labels = read_labels(values)
    except LabelError as error:
        raise HTTPException(422, f"{error.sentence} {ADVICE.get(error.column, '')}".rstrip()) from error
    if not labels.case:
        raise HTTPException(422, ADVICE["case"])
    return labels


def _ingest(context: Context, files: list[UploadFile], labels: Labels) -> IngestSummary:
    with context.sessions() as session:
        pipeline_id = session.scalar(production_pipeline())
    if pipeline_id is None:
        raise HTTPException(503, "No pipeline is in production yet; `karyo models --help` lists how to put one there.")
    settings = context.settings
    source = UploadSource([UploadedFile(file.filename, file.file) for file in files], labels)
    limits = Limits(settings.max_image_bytes, settings.max_image_pixels)
    try:
        return ingest(context.sessions, context.store, source, pipeline_id=pipeline_id, limits=limits)
    except StorageError as error:
        raise HTTPException(503, str(error)) from error
