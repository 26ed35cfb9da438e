"""Structured logs on standard error: one line per event, as JSON or as text.

An event is a stable key such as ``analysis.done``; everything else is a field. structlog binds and collects the fields,
the standard library delivers the records, so that records of other libraries take the same path.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog
from structlog.processors import CallsiteParameter, CallsiteParameterAdder, JSONRenderer, TimeStamper, format_exc_info
from structlog.stdlib import BoundLogger, ExtraAdder, ProcessorFormatter

from telemetry.redaction import redact

LogFormat = Literal["auto", "json", "text"]
ROOMS = ("ingest", "karyotyping", "models", "scheduler", "storage", "telemetry", "worker")
"""Loggers whose records start at the configured level; those of libraries start at WARNING."""

_FIELDS_OF_A_LINE = ("at", "level", "logger", "process", "event")
_Event = MutableMapping[str, Any]


def get_logger(name: str) -> BoundLogger:
    """Return a logger that takes fields as keyword arguments.

    Args:
        name: of the room, as in ``get_logger("worker").info("worker.started", concurrency=2)``.
    """
    logger: BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        wrapper_class=BoundLogger,
        cache_logger_on_first_use=True,
    )
    return logger


def formatter(style: Literal["json", "text"]) -> logging.Formatter:
    """Return what renders a record, with the fields that are bound to its context.

    Args:
        style: ``json`` is ``{"at", "level", "logger", "process", "event", ...fields, "traceback"}`` on one line;
            ``text`` is ``12:00:00 info worker: analysis.done analysis=1 image=2``.
    """
    render = JSONRenderer(default=str, ensure_ascii=False) if style == "json" else _render_text
    return ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            ExtraAdder(),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            CallsiteParameterAdder({CallsiteParameter.PROCESS}),
        ],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            TimeStamper(fmt="iso", utc=True, key="at")
            if style == "json"
            else TimeStamper(fmt="%H:%M:%S", utc=False, key="at"),
            format_exc_info,
            _order_fields,
            render,
            _redact_line,
        ],
    )


def configure(style: LogFormat = "auto", level: int = logging.INFO) -> None:
    """Send every log record of this process to standard error.

    Args:
        style: ``auto`` is text on a terminal and JSON elsewhere.
        level: lowest level of the records of karyoflow.
    """
    if style == "auto":
        style = "text" if sys.stderr.isatty() else "json"
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(style))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for room in ROOMS:
        logging.getLogger(room).setLevel(level)
    logging.captureWarnings(True)


def _order_fields(_: Any, __: str, event: _Event) -> _Event:
    """Put the fields that every line has first, and name the exception ``traceback``."""
    ordered = {name: event.pop(name) for name in _FIELDS_OF_A_LINE}
    traceback = event.pop("exception", None)
    return {**ordered, **event, **({"traceback": traceback} if traceback else {})}


def _redact_line(_: Any, __: str, line: Any) -> str:
    return redact(str(line))


def _render_text(_: Any, __: str, event: _Event) -> str:
    at, level, logger, _process, name = (event.pop(field) for field in _FIELDS_OF_A_LINE)
    traceback = event.pop("traceback", None)
    fields = "".join(f" {field}={value}" for field, value in event.items())
    line = f"{at} {level} {logger}: {name}{fields}"
    return f"{line}\n{traceback}" if traceback else line
