"""Structured logs on standard error: one line per event, JSON for machines or plain for people."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

LogFormat = Literal["auto", "json", "text"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "data"}


_bound: ContextVar[Mapping[str, Any]] = ContextVar("bound", default={})  # noqa: B039 - nobody changes a mapping


def bound() -> Mapping[str, Any]:
    """What every log line of this thread carries now."""
    return _bound.get()


@contextmanager
def bind(**fields: Any) -> Iterator[None]:
    """Let every log line of this thread carry ``fields``, whichever room it comes from."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What is bound, and what the caller gave as ``extra``."""
    return {**bound(), **{name: value for name, value in vars(record).items() if name not in _STANDARD}}


class JsonFormatter(logging.Formatter):
    """``{"at", "level", "logger", "process", "event", ...extra}`` on one line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """``12:00:00 info worker: image done analysis=1 image=2``."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{at} {record.levelname.lower()} {record.name}: {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(style: LogFormat = "auto", level: int = logging.INFO) -> None:
    """Send every log record of this process to standard error.

    Args:
        style: ``auto`` is text on a terminal, JSON otherwise.
        level: lowest level of our own records; libraries start at WARNING.
    """
    if style == "auto":
        style = "text" if sys.stderr.isatty() else "json"
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for room in ("ingest", "karyotyping", "models", "scheduler", "storage", "telemetry", "worker"):
        logging.getLogger(room).setLevel(level)
    logging.captureWarnings(True)
