"""A pipeline to queue images for."""

from __future__ import annotations

import pytest

from db.engine import SessionFactory
from db.schema import Pipeline


@pytest.fixture
def pipeline_id(session_factory: SessionFactory) -> int:
    """Id of a registered pipeline."""
    with session_factory.begin() as session:
        row = Pipeline(digest="0" * 64, name="test", document={})
        session.add(row)
        session.flush()
        return row.id
