"""Collections of single-chromosome crops in a folder or a zip.

An optional ``index.csv`` names the cell of each crop.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ingest.rejections import IngestError, Rejected, rejected
from ingest.sources.archive import ArchiveSource, open_archive
from ingest.sources.base import repeated_name
from ingest.sources.folder import FolderSource

INDEX = "index.csv"
FOLDER = "folder"
"""Given instead of a column of the index, the cell of a crop is named by its folder."""

MAX_INDEX_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class ListedCrop:
    """One file of a collection: ``name`` within it, and its ``cell`` if that was asked for."""

    name: str
    cell: str | None = None


class CropCollection:
    """Crops in a folder or in an open archive."""

    def __init__(self, path: Path, files: FolderSource | ArchiveSource) -> None:
        self._index_path = path / INDEX
        self._files = files

    def read(self, name: str, max_bytes: int) -> bytes | Rejected:
        """Return the bytes of a crop; see :attr:`ingest.sources.base.Item.read`."""
        return self._files.read(name, max_bytes)

    def crops(self, by_cell: str | None = None) -> list[ListedCrop | Rejected]:
        """Return every crop once: those of the index in its order, then the others in natural order.

        Args:
            by_cell: Column of the index that names the cell of a crop, or ``FOLDER``.

        Raises:
            IngestError: ``manifest_unreadable``, ``manifest_missing_column`` or ``manifest_duplicate_column`` of the
                index.
        """
        cells: dict[str, str] = {}
        crops: list[ListedCrop | Rejected] = []
        for line, name, cell in self._index(by_cell if by_cell != FOLDER else None):
            if not name or (held := self._files.holds(name)) is False:
                crops.append(rejected(name or f"line {line}", "missing_crop", line=line))
            elif isinstance(held, Rejected):
                crops.append(held)
            elif name in cells:
                crops.append(rejected(name, "listed_twice", line=line))
            else:
                cells[name] = cell
                crops.append(_crop(name, cell, by_cell))
        rejected_names = {crop.name for crop in crops if isinstance(crop, Rejected)}
        for name_or_rejection in self._files.names():
            if isinstance(name_or_rejection, Rejected):
                if name_or_rejection.name not in rejected_names:
                    crops.append(name_or_rejection)
            elif name_or_rejection not in cells:
                crops.append(_crop(name_or_rejection, "", by_cell))
        return crops

    def _index(self, column: str | None) -> Iterator[tuple[int, str, str]]:
        """Yield number, file and ``column`` of each line; nothing if no index is there or needed."""
        path = self._index_path
        if self._files.holds(INDEX) is not True:
            if column is not None:
                raise IngestError("manifest_unreadable", path=path, error="there is none")
            return
        data = self._files.read(INDEX, MAX_INDEX_BYTES)
        if isinstance(data, Rejected):
            raise IngestError("manifest_unreadable", path=path, error=data.sentence)
        try:
            text = data.decode("utf-8-sig")
            header = text.partition("\n")[0]
            lines = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
            columns = list(lines.fieldnames or ())
            if (repeated := repeated_name(columns)) is not None:
                raise IngestError("manifest_duplicate_column", path=path, column=repeated)
            for needed in ("file", column) if column is not None else ():
                if needed not in columns:
                    raise IngestError("manifest_missing_column", path=path, column=needed, known=", ".join(columns))
            if "file" in columns:
                for row in lines:
                    yield lines.line_num, (row["file"] or "").strip(), (row.get(column or "") or "").strip()
        except (UnicodeDecodeError, csv.Error) as error:
            raise IngestError("manifest_unreadable", path=path, error=error) from error


@contextmanager
def open_collection(path: Path) -> Iterator[CropCollection]:
    """Yield the collection in the folder or zip archive ``path``, and close it at the end.

    Raises:
        IngestError: ``not_a_collection``.
    """
    if path.is_dir():
        yield CropCollection(path, FolderSource(path))
        return
    with open_archive(path) as archive:
        yield CropCollection(path, archive)


def _crop(name: str, cell: str, by_cell: str | None) -> ListedCrop | Rejected:
    if by_cell is None:
        return ListedCrop(name)
    if by_cell == FOLDER:
        return ListedCrop(name, PurePosixPath(name).parent.as_posix())
    return ListedCrop(name, cell) if cell else rejected(name, "missing_cell", column=by_cell)
