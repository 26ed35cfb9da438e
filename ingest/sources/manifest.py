"""Reading a CSV manifest: which images there are, and what the laboratory knows of each."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

from db.schema import PRIORITIES
from ingest.rejections import IngestError, Rejected, is_printable, rejected
from ingest.sources.folder import Candidate, Labels, examine

COLUMNS = ("path", "case", "lab", "slide", "tissue", "banding", "microscope", "captured_at", "priority")


def read_manifest(
    manifest: Path, case: str | None = None, priority: int = PRIORITIES["routine"], lab: str | None = None
) -> list[Candidate | Rejected]:
    """One entry for each line of ``manifest``, in its order. Blank lines are passed over.

    The first line names the columns: ``path`` and any others of :data:`COLUMNS`, separated by commas, semicolons or
    tabs. Paths start at the manifest's folder and stay in it. A missing case is ``case``, else the image's sub-folder,
    else the manifest's folder; a missing laboratory or priority is ``lab`` or ``priority``; a ``captured_at`` without a
    zone is UTC.

    Raises:
        IngestError: ``manifest_unreadable``, ``manifest_missing_column`` or ``manifest_unknown_column``. A line that is
            wrong is rejected alone.
    """
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            lines = csv.DictReader(file, delimiter=max(",;\t", key=header.count), strict=True, restkey="", restval="")
            _check_columns(manifest, list(lines.fieldnames or ()))
            root, given = manifest.parent.resolve(), Labels(case or "", lab, priority=priority)
            return _without_repeats([_entry(line, lines.line_num, root, given) for line in lines])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise IngestError("manifest_unreadable", path=manifest, error=error) from error


def _check_columns(manifest: Path, columns: list[str]) -> None:
    if "path" not in columns:
        raise IngestError("manifest_missing_column", path=manifest, column="path", known=", ".join(COLUMNS))
    for column in columns:
        if column not in COLUMNS:
            raise IngestError("manifest_unknown_column", path=manifest, column=column, known=", ".join(COLUMNS))


def _entry(line: dict[str, str], number: int, root: Path, given: Labels) -> tuple[int, Candidate | Rejected]:
    surplus = line.pop("", None)
    values = {column: value.strip() for column, value in line.items()}
    name = values["path"]

    def no(reason: str, **facts: object) -> tuple[int, Rejected]:
        return number, rejected(name or f"line {number}", reason, line=number, **facts)

    if surplus:
        return no("too_many_values")
    if not name:
        return no("missing_path")
    for column, value in values.items():
        if not is_printable(value):
            return no("unsafe_name") if column == "path" else no("bad_text", column=column)
    path = Path(root, name)
    if not path.is_relative_to(root) or ".." in Path(name).parts:
        return no("path_outside_folder")
    if not path.exists() and not path.is_symlink():
        return no("missing_file")
    name = path.relative_to(root).as_posix()
    target = examine(path, name, root)
    if isinstance(target, Rejected):
        return number, target
    if target is None:
        return no("not_a_file", kind="folder")
    try:
        captured_at = _moment(values.get("captured_at", ""))
    except ValueError:
        return no("bad_date", value=values["captured_at"])
    wanted = values.get("priority", "").lower()
    if wanted and wanted not in PRIORITIES:
        return no("bad_priority", value=values["priority"])
    folder = Path(name).parent.as_posix()
    return number, Candidate(
        name,
        target,
        Labels(
            case=values.get("case") or given.case or (folder if folder != "." else root.name or "unnamed"),
            lab=values.get("lab") or given.lab,
            slide=values.get("slide") or None,
            tissue=values.get("tissue") or None,
            banding=values.get("banding") or None,
            microscope=values.get("microscope") or None,
            captured_at=captured_at,
            priority=PRIORITIES[wanted] if wanted else given.priority,
        ),
    )


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _without_repeats(entries: list[tuple[int, Candidate | Rejected]]) -> list[Candidate | Rejected]:
    seen: set[str] = set()
    kept: list[Candidate | Rejected] = []
    for number, entry in entries:
        if isinstance(entry, Candidate) and entry.name in seen:
            kept.append(rejected(entry.name, "listed_twice", line=number))
            continue
        seen.add(entry.name)
        kept.append(entry)
    return kept
