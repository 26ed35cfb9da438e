"""Collections of single-chromosome crops in a folder or a zip.

An optional ``index.csv`` names the cell of each crop.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ingest.rejections import IngestError, Rejected, rejected
from ingest.sources.archive import ArchiveSource, open_archive
from ingest.sources.cells import MAX_TABLE_BYTES
from ingest.sources.content import PassedOver
from ingest.sources.folder import FolderSource
from ingest.sources.tables import Row, read_table

INDEX = "index.csv"
FOLDER = "folder"
"""Given instead of a column of the index, the cell of a crop is named by its folder."""


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
        self.passed_over: list[PassedOver] = []
        """Files that are clearly no images; complete after :meth:`crops`."""
        self.notes: Sequence[str] = ()
        """Sentences for people about how the index was read; complete after :meth:`crops`."""

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
        crops: list[ListedCrop | Rejected] = []
        answered: set[str] = set()
        for row in self._index(by_cell if by_cell != FOLDER else None):
            crop = self._listed_crop(row, by_cell, answered)
            crops.append(crop)
            answered.add(crop.name)
        for answer in self._files.names():
            if isinstance(answer, str):
                if answer not in answered:
                    crops.append(_crop(answer, "", by_cell))
            elif answer.name not in answered and answer.name.casefold() != INDEX:
                if isinstance(answer, PassedOver):
                    self.passed_over.append(answer)
                else:
                    crops.append(answer)
        return crops

    def _listed_crop(self, row: Row, by_cell: str | None, answered: Collection[str]) -> ListedCrop | Rejected:
        """Return the crop that a row of the index names."""
        written, cell = row.values["file"].strip(), row.values.get(by_cell or "", "").strip()
        if row.problem is not None and row.problem.column in ("file", by_cell):
            facts = {"where": f"Line {row.line}: ", "column": row.problem.column, **row.problem.facts}
            return rejected(written or f"line {row.line}", row.problem.reason, line=row.line, **facts)
        names = self._find(written) if written else ()
        if isinstance(names, Rejected):
            return names
        if not names:
            return rejected(written or f"line {row.line}", "missing_crop", line=row.line)
        if len(names) > 1:
            return rejected(written, "ambiguous_path", line=row.line, names=", ".join(names))
        name = names[0]
        return rejected(name, "listed_twice", line=row.line) if name in answered else _crop(name, cell, by_cell)

    def _find(self, written: str) -> Sequence[str] | Rejected:
        """Return the files that a name in the index can mean, or why the file is not taken."""
        names = self._files.find(written)
        if not names and "\\" in written:
            names = self._files.find(written.replace("\\", "/"))
        return names

    def _index(self, column: str | None) -> Iterator[Row]:
        """Yield the rows of the index; nothing if no index is there or needed."""
        path = self._index_path
        names = self._files.find(INDEX)
        if not names and column is None:
            return
        data = names if isinstance(names, Rejected) or not names else self._files.read(names[0], MAX_TABLE_BYTES)
        if not isinstance(data, bytes):
            error = data.sentence if isinstance(data, Rejected) else "there is none"
            raise IngestError("manifest_unreadable", path=path, error=error)
        known = ["file"] if column is None else ["file", column]
        table = read_table(path, data, known)
        self.notes = table.notes
        for needed in known if column is not None else ():
            if needed not in table.columns:
                raise IngestError("manifest_missing_column", path=path, column=needed, known=", ".join(table.columns))
        if "file" in table.columns:
            yield from table.rows


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
