"""Ingest of images: sources, validation, deduplication, storage, and a pending analysis for each."""

from ingest.batch import IngestSummary, ingest
from ingest.rejections import IngestError, Rejected

__all__ = ["IngestError", "IngestSummary", "Rejected", "ingest"]
