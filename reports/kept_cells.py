"""Results of images that are kept in a file, so that an interrupted command resumes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from ingest.rejections import Rejected
from karyotyping.case.cell import CellSummary


class _Line(TypedDict):
    """One line of the file."""

    key: str
    cell: dict[str, Any] | None
    reason: str
    sentence: str


class KeptCells:
    """Results of analysed images, a line of JSON each; a line that was cut off is passed over."""

    def __init__(self, file: Path) -> None:
        """Read the file, if there is one.

        Args:
            file: it is appended to.
        """
        self._file = file
        content = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
        self._starts_line = not content or content.endswith("\n")
        self._by_key: dict[str, _Line] = {}
        for text in content.splitlines():
            try:
                line: _Line = json.loads(text)
                self._by_key[line["key"]] = line
            except (ValueError, TypeError, KeyError):
                continue

    def get(self, key: str, name: str) -> CellSummary | Rejected | None:
        """Return the result of an image; None if there is none.

        Args:
            key: identifies the bytes of the image and the pipeline.
            name: of the image, for its rejection.
        """
        line = self._by_key.get(key)
        if line is None:
            return None
        return Rejected(name, line["reason"], line["sentence"]) if line["cell"] is None else _cell(line["cell"])

    def add(self, key: str, result: CellSummary | Rejected) -> None:
        """Append the result of an image."""
        line = _Line(key=key, cell=None, reason="", sentence="")
        if isinstance(result, Rejected):
            line |= {"reason": result.reason, "sentence": result.sentence}
        else:
            line["cell"] = _document(result)
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(("" if self._starts_line else "\n") + json.dumps(line) + "\n")
        self._starts_line = True
        self._by_key[key] = line


def _document(cell: CellSummary) -> dict[str, Any]:
    return {
        "counts": sorted(cell.class_counts.items()),
        "chromosomes": cell.chromosome_count,
        "quality": cell.quality_score,
        "called": cell.called,
        "band_level": cell.band_level,
        "outline_edits": cell.outline_edits,
        "class_edits": cell.class_edits,
        "unexplained_objects": cell.unexplained_objects,
        "touching": cell.touching,
        "doubts": [[*classes, odds] for classes, odds in cell.doubts.items()],
        "outline_doubts": sorted(cell.outline_doubts.items()),
    }


def _cell(document: Mapping[str, Any]) -> CellSummary:
    return CellSummary(
        0,
        dict(document["counts"]),
        document["chromosomes"],
        document["quality"],
        called=document["called"],
        band_level=document.get("band_level"),
        outline_edits=document.get("outline_edits"),
        class_edits=document.get("class_edits"),
        unexplained_objects=document.get("unexplained_objects"),
        touching=document.get("touching"),
        doubts={(first, second): odds for first, second, odds in document["doubts"]},
        outline_doubts=dict(document.get("outline_doubts", ())),
    )
