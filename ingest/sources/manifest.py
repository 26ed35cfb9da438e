"""Images that a manifest lists, with what the laboratory knows of each."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

from db.enums import BatchKind
from ingest.printable import is_printable, printable
from ingest.rejections import IngestError, Rejected, rejected
from ingest.sources.base import Item, Source
from ingest.sources.cells import MAX_TABLE_BYTES
from ingest.sources.folder import examine, read_file
from ingest.sources.labels import COLUMNS as LABEL_COLUMNS
from ingest.sources.labels import NO_LABELS, LabelError, Labels, read_labels
from ingest.sources.spellings import FolderSpellings, is_absolute_elsewhere
from ingest.sources.tables import Row, read_table

COLUMNS = ("path", *LABEL_COLUMNS)
_MAX_NAMED_PATHS = 4  # in the sentence about an ambiguous path

Reject = Callable[..., Rejected]
"""Callback that returns the rejection of one row; its arguments are the reason and the facts of its sentence."""


class ManifestSource(Source):
    """Images that a manifest lists, one a row, in its order (docs/reference/manifest.md).

    The header names the columns: ``path`` and any others of :data:`COLUMNS`. Paths start at the manifest's folder and
    stay in it.
    """

    kind: ClassVar[BatchKind] = "manifest"

    def __init__(self, manifest: Path, defaults: Labels = NO_LABELS) -> None:
        """Name the manifest, which is read later.

        Args:
            manifest: CSV or XLSX file; see :func:`ingest.sources.tables.read_table`.
            defaults: Labels for empty or missing columns; without a case, the folder of an image is its case.
        """
        self.source = printable(str(manifest.parent.resolve() / manifest.name))
        self._manifest = manifest
        self._defaults = defaults

    def items(self) -> list[Item | Rejected]:
        """See :class:`~ingest.sources.base.Source`. A wrong row is rejected alone.

        Raises:
            IngestError: ``manifest_unreadable``, ``manifest_missing_column``, ``manifest_duplicate_column`` or
                ``manifest_unknown_column``.
        """
        path = self._manifest
        table = read_table(path, _content(path), COLUMNS, dates=("captured_at",))
        _check_columns(path, table.columns)
        self.notes = table.notes
        files = _Files(path.parent.resolve())
        return _without_repeats([(row.line, self._item(row, files)) for row in table.rows])

    def _item(self, row: Row, files: _Files) -> Item | Rejected:
        name = row.values["path"].strip()

        def reject(reason: str, **facts: object) -> Rejected:
            where = f"Line {row.line}: {facts.pop('where', '')}"
            return rejected(name or f"line {row.line}", reason, line=row.line, where=where, **facts)

        if row.problem is not None:
            return reject(row.problem.reason, column=row.problem.column, **row.problem.facts)
        if not name:
            return reject("missing_path")
        try:
            labels = read_labels(row.values, self._defaults)
        except LabelError as error:
            return reject(error.reason, **error.facts)
        found = files.find(row.values["path"], reject)
        if isinstance(found, Rejected):
            return found
        name, target = found
        try:
            labels = labels.in_folder(name, files.root.name)
        except LabelError as error:
            return reject(error.reason, where=error.where, **error.facts)
        return Item(name, labels, partial(read_file, target, name))


class _Files:
    """The files below a manifest's folder."""

    def __init__(self, root: Path) -> None:
        """Name the folder, free of links."""
        self.root = root
        self._spellings = FolderSpellings(root)

    def find(self, written: str, reject: Reject) -> tuple[str, Path] | Rejected:
        """Return the name and the path free of links of a row's file, or why it is not taken."""
        if not is_printable(written.strip()):
            return reject("unsafe_name")
        names = [written] if written != written.strip() and os.path.lexists(self.root / written) else []
        written = written.strip()
        if is_absolute_elsewhere(written):
            return reject("absolute_path")
        if not names and "\\" in written and not os.path.lexists(self.root / written):
            written = written.replace("\\", "/")
        path = self.root / (names or [written])[0]
        if not path.is_relative_to(self.root) or ".." in path.parts:
            return reject("path_outside_folder")
        names = names or list(self._spellings.find(path.relative_to(self.root).as_posix()))
        if not names:
            return reject("missing_file")
        if len(names) > 1:
            return reject("ambiguous_path", names=", ".join(sorted(names)[:_MAX_NAMED_PATHS]))
        name = names[0]
        target = examine(self.root / name, name, self.root)
        if target is None:
            return reject("not_a_file", kind="folder")
        return target if isinstance(target, Rejected) else (name, target)


def _content(manifest: Path) -> bytes:
    """Return the bytes of a manifest, which may be a link or a pipe.

    Raises:
        IngestError: ``manifest_unreadable``.
    """
    try:
        with manifest.open("rb") as file:
            data = file.read(MAX_TABLE_BYTES + 1)
    except OSError as error:
        raise IngestError("manifest_unreadable", path=manifest, error=error.strerror) from error
    if len(data) > MAX_TABLE_BYTES:
        raise IngestError("manifest_unreadable", path=manifest, error=f"it has more than {MAX_TABLE_BYTES:,} bytes")
    return data


def _check_columns(manifest: Path, columns: tuple[str, ...]) -> None:
    if "path" not in columns:
        raise IngestError("manifest_missing_column", path=manifest, column="path", known=", ".join(COLUMNS))
    for column in columns:
        if column not in COLUMNS:
            raise IngestError("manifest_unknown_column", path=manifest, column=column, known=", ".join(COLUMNS))


def _without_repeats(rows: list[tuple[int, Item | Rejected]]) -> list[Item | Rejected]:
    """Return the items of ``rows``; an image that an earlier row lists is rejected."""
    names: set[str] = set()
    items: list[Item | Rejected] = []
    for line, item in rows:
        if isinstance(item, Item) and item.name in names:
            items.append(rejected(item.name, "listed_twice", line=line))
            continue
        names.add(item.name)
        items.append(item)
    return items
