"""``karyo storage`` on a real database and object store."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from db.engine import SessionFactory
from storage import DirectoryStore, key_of
from tests.support.command_line import Karyo
from tests.support.reviewed import ReviewLaboratory, store_objects


@pytest.fixture
def store(session_factory: SessionFactory, tmp_path: Path) -> DirectoryStore:
    """Store with the objects of a case of two cells and an old orphan."""
    store = DirectoryStore(tmp_path)
    laboratory = ReviewLaboratory(session_factory)
    laboratory.case("A-1", cells=2)
    store_objects(session_factory, store)
    path = tmp_path / store.put(b"orphan")
    os.utime(path, (0, 0))
    return store


def test_orphans_are_reported_and_deleted(karyo: Karyo, store: DirectoryStore) -> None:
    out, err = karyo("storage", "sweep")
    assert "original" in out
    assert "nothing is deleted; repeat with --delete" in err
    found = json.loads(karyo("storage", "sweep", "--json")[0])
    assert (found["orphans"], found["kinds"]["original"]["stored"]["objects"]) == ({"objects": 1, "bytes": 6}, 2)
    assert store.has(key_of(b"orphan"))
    assert "1 objects deleted" in karyo("storage", "sweep", "--delete")[1]
    assert not store.has(key_of(b"orphan"))
    assert len(json.loads(karyo("audit", "list", "--action", "storage.", "--json")[0])) == 1


def test_a_missing_object_is_an_exit_status(karyo: Karyo, store: DirectoryStore) -> None:
    store.delete(key_of(b"image 1"))
    out, err = karyo("storage", "sweep", code=1)
    assert "missing" in out
    assert f"{key_of(b'image 1')} is missing; restore it from a backup" in err


def test_the_policy_comes_from_the_settings(
    karyo: Karyo, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KARYO_RETENTION_KARYOGRAM_DAYS", "1")
    assert json.loads(karyo("storage", "sweep", "--delete", "--json")[0])["removed"] == {}
    monkeypatch.setenv("KARYO_RETENTION_KARYOGRAM_DAYS", "0")
    assert "KARYO_RETENTION_KARYOGRAM_DAYS" in karyo("storage", "sweep", code=2)[1]
    assert "Invalid value for '--grace'" in karyo("storage", "sweep", "--grace", "0", code=2)[1]
