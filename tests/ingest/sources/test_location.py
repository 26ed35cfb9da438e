"""The source that a location names."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from ingest.rejections import IngestError
from ingest.sources.location import is_url, open_source


def test_the_location_decides_the_kind(tmp_path: Path, s3_endpoint: str) -> None:
    (tmp_path / "manifest.CSV").write_text("path\n")
    (tmp_path / "folder.zip").mkdir()
    with zipfile.ZipFile(tmp_path / "monday.ZIP", "w") as archive:
        archive.writestr("a.tif", b"")
    kinds = {}
    for location in (tmp_path, tmp_path / "manifest.CSV", tmp_path / "folder.zip", tmp_path / "monday.ZIP", "s3://b/p"):
        with open_source(str(location), endpoint_url=s3_endpoint) as source:
            kinds[Path(location).name] = source.kind
    assert list(kinds.values()) == ["folder", "manifest", "folder", "archive", "prefix"]


def test_a_single_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"")
    with pytest.raises(IngestError) as caught, open_source(str(tmp_path / "a.tif")):
        pass
    assert caught.value.reason == "folder_not_found"


def test_urls_are_not_paths() -> None:
    assert is_url("s3://bucket")
    assert not is_url("s3/bucket")
