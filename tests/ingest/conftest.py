"""S3 over HTTP, an object store and a pipeline to enqueue images for."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.engine import SessionFactory
from db.schema import Pipeline
from storage import DirectoryStore
from tests.support.s3 import bucket, moto_url, s3_client, s3_endpoint

__all__ = ["bucket", "moto_url", "s3_client", "s3_endpoint"]


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """An empty object store."""
    return DirectoryStore(tmp_path / "objects")


@pytest.fixture
def pipeline_id(session_factory: SessionFactory) -> int:
    """Id of a registered pipeline."""
    with session_factory.begin() as session:
        row = Pipeline(digest="0" * 64, name="test", document={})
        session.add(row)
        session.flush()
        return row.id
