"""Uploads as the API answers them."""

from __future__ import annotations

from web.schemas import Schema


class RejectedFile(Schema):
    """A file that was not taken."""

    name: str
    reason: str
    """Name of the reason, for programs."""
    sentence: str
    """The reason and what to do, for people."""


class UploadSummary(Schema):
    """Outcome of every file of one upload."""

    batch_id: int
    new: int
    duplicate: int
    """Files whose bytes were known already."""
    enqueued: int
    """Analyses that were missing and are pending now."""
    rejected: list[RejectedFile]
    image_ids: list[int]
    """Images of the upload, new or known, each once."""
    passed_over: dict[str, int]
    """Files that are clearly no images, by suffix or another kind."""


class UploadRefused(Schema):
    """Answer to an upload of which no file was taken: its summary, or what is wrong."""

    detail: UploadSummary | str
