"""Getting images in: discovery, validation, deduplication, storage, and a pending analysis for each."""

from ingest.intake import IngestSummary, ingest_folder, ingest_manifest
from ingest.verdict import IngestError, Rejected

__all__ = ["IngestError", "IngestSummary", "Rejected", "ingest_folder", "ingest_manifest"]
