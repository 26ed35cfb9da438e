"""Getting images in: discovery, validation, deduplication, storage, and a pending analysis for each."""

from ingest.batch import IngestSummary, ingest_folder, ingest_manifest
from ingest.rejections import IngestError, Rejected

__all__ = ["IngestError", "IngestSummary", "Rejected", "ingest_folder", "ingest_manifest"]
