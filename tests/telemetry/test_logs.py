"""A log line is one event with its fields, for machines and for people."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from telemetry.logs import formatter, get_logger


def record(**extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "worker", "levelname": "INFO", "msg": "image %s", "args": ("done",), **extra})
    try:
        raise ValueError("broken")
    except ValueError:
        if extra.get("analysis") == 2:
            made.exc_info = sys.exc_info()
    return made


def test_json_is_one_line_with_the_extra_fields() -> None:
    text = formatter("json").format(record(analysis=2, file="a\nb.png"))
    line = json.loads(text)
    assert "\n" not in text
    assert (line["event"], line["level"], line["analysis"], line["file"]) == ("image done", "info", 2, "a\nb.png")
    assert "ValueError: broken" in line["traceback"]


def test_json_fields_keep_their_names_and_order() -> None:
    line = json.loads(formatter("json").format(record(analysis=2)))
    assert list(line) == ["at", "level", "logger", "process", "event", "analysis", "traceback"]


def test_text_reads_like_a_sentence() -> None:
    assert formatter("text").format(record(analysis=1)).endswith("info worker: image done analysis=1")


def test_fields_of_a_logger_reach_the_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "worker")
    log = get_logger("worker")
    log.debug("worker.idle")
    log.info("analysis.done", analysis=7)
    (event,) = caplog.records
    line = json.loads(formatter("json").format(event))
    assert (line["event"], line["logger"], line["analysis"]) == ("analysis.done", "worker", 7)


_LOG_MUCH = """
from telemetry.logs import configure, get_logger
configure("json")
for number in range(1000):
    get_logger("worker").info("analysis.done", analysis=number)
print("finished")
"""


def test_a_full_disk_of_logs_stops_no_process() -> None:
    root = Path(__file__).parents[2]
    with Path("/dev/full").open("w") as full:
        child = subprocess.run(
            [sys.executable, "-c", _LOG_MUCH], cwd=root, stdout=subprocess.PIPE, stderr=full, text=True, check=False
        )
    assert child.stdout == "finished\n"
