"""One line per event, with its fields, for machines and for people."""

from __future__ import annotations

import json
import logging
import sys

from telemetry.logs import JsonFormatter, TextFormatter


def record(**extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "worker", "levelname": "INFO", "msg": "image %s", "args": ("done",), **extra})
    try:
        raise ValueError("broken")
    except ValueError:
        if extra.get("analysis") == 2:
            made.exc_info = sys.exc_info()
    return made


def test_json_is_one_line_with_the_extra_fields() -> None:
    text = JsonFormatter().format(record(analysis=2, file="a\nb.png"))
    line = json.loads(text)
    assert "\n" not in text
    assert (line["event"], line["level"], line["analysis"], line["file"]) == ("image done", "info", 2, "a\nb.png")
    assert "ValueError: broken" in line["traceback"]


def test_text_reads_like_a_sentence() -> None:
    assert TextFormatter().format(record(analysis=1)).endswith("info worker: image done analysis=1")
