"""What a training reports while it runs: lines for people, and JSON lines for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Log = Callable[[str], None]
"""Receives one line of progress at a time; ``print`` by default."""


def append_json_line(file: Path, document: Mapping[str, Any]) -> None:
    """Append a document to a file of JSON lines."""
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(document) + "\n")
