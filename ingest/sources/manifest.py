"""Images that a CSV manifest lists, with what the laboratory knows of each."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import ClassVar

from db.enums import BatchKind
from ingest.printable import is_printable, printable
from ingest.rejections import IngestError, Rejected, rejected
from ingest.sources.base import Item, Source, repeated_name
from ingest.sources.folder import examine, read_file
from ingest.sources.labels import COLUMNS as LABEL_COLUMNS
from ingest.sources.labels import NO_LABELS, LabelError, Labels, read_labels

COLUMNS = ("path", *LABEL_COLUMNS)


class ManifestSource(Source):
    """Images that a CSV manifest lists, one a line, in its order. Blank lines are passed over.

    The first line names the columns: ``path`` and any others of :data:`COLUMNS`, separated by commas, semicolons or
    tabs. Paths start at the manifest's folder and stay in it. A ``captured_at`` without a zone is UTC.
    """

    kind: ClassVar[BatchKind] = "manifest"

    def __init__(self, manifest: Path, defaults: Labels = NO_LABELS) -> None:
        """Name the manifest, which is read later.

        Args:
            manifest: CSV file in UTF-8.
            defaults: Labels for empty or missing columns; without a case, the folder of an image is its case.
        """
        self.source = printable(str(manifest.parent.resolve() / manifest.name))
        self._manifest = manifest
        self._defaults = defaults

    def items(self) -> list[Item | Rejected]:
        """See :class:`~ingest.sources.base.Source`. A wrong line is rejected alone.

        Raises:
            IngestError: ``manifest_unreadable``, ``manifest_missing_column``, ``manifest_duplicate_column`` or
                ``manifest_unknown_column``.
        """
        path = self._manifest
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                header = file.readline()
                file.seek(0)
                delimiter = max(",;\t", key=header.count)
                lines = csv.DictReader(file, delimiter=delimiter, strict=True, restkey="", restval="")
                _check_columns(path, list(lines.fieldnames or ()))
                root = path.parent.resolve()
                return _without_repeats([(lines.line_num, self._item(line, lines.line_num, root)) for line in lines])
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise IngestError("manifest_unreadable", path=path, error=error) from error

    def _item(self, line: dict[str, str], number: int, root: Path) -> Item | Rejected:
        surplus = line.pop("", None)
        name = line["path"].strip()

        def reject(reason: str, **facts: object) -> Rejected:
            return rejected(name or f"line {number}", reason, line=number, **facts)

        if surplus:
            return reject("too_many_values")
        if not name:
            return reject("missing_path")
        if not is_printable(name):
            return reject("unsafe_name")
        try:
            labels = read_labels(line, self._defaults)
        except LabelError as error:
            return reject(error.reason, where=f"Line {number}: ", **error.facts)
        path = Path(root, name)
        if not path.is_relative_to(root) or ".." in Path(name).parts:
            return reject("path_outside_folder")
        if not path.exists() and not path.is_symlink():
            return reject("missing_file")
        name = path.relative_to(root).as_posix()
        target = examine(path, name, root)
        if isinstance(target, Rejected):
            return target
        if target is None:
            return reject("not_a_file", kind="folder")
        try:
            labels = labels.in_folder(name, root.name)
        except LabelError as error:
            return reject(error.reason, where=f"Line {number}: {error.where}", **error.facts)
        return Item(name, labels, partial(read_file, target, name))


def _check_columns(manifest: Path, columns: list[str]) -> None:
    if (column := repeated_name(columns)) is not None:
        raise IngestError("manifest_duplicate_column", path=manifest, column=column)
    if "path" not in columns:
        raise IngestError("manifest_missing_column", path=manifest, column="path", known=", ".join(COLUMNS))
    for column in columns:
        if column not in COLUMNS:
            raise IngestError("manifest_unknown_column", path=manifest, column=column, known=", ".join(COLUMNS))


def _without_repeats(lines: list[tuple[int, Item | Rejected]]) -> list[Item | Rejected]:
    """Return the items of ``lines``; an image that an earlier line lists is rejected."""
    names: set[str] = set()
    items: list[Item | Rejected] = []
    for number, item in lines:
        if isinstance(item, Item) and item.name in names:
            items.append(rejected(item.name, "listed_twice", line=number))
            continue
        names.add(item.name)
        items.append(item)
    return items
