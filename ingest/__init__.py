"""Ingest of images: sources, validation, deduplication, storage, pending analyses."""
