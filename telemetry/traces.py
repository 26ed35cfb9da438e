"""Spans and stages of the work: timed, bound to log lines, and sent as OpenTelemetry traces.

Tracing is an extra (``pip install 'karyoflow[traces]'``) and off unless ``enable`` is called. Log lines carry trace ids
in both cases.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from structlog.contextvars import bound_contextvars, get_contextvars

from telemetry.metrics import PROGRESS, STAGE_SECONDS

_tracer: Any = None


class TracesUnavailable(Exception):
    """Traces are switched on and the extra is not installed."""


def enable(service: str) -> Callable[[], None]:
    """Send the traces of this process to a collector; call it after a fork.

    The ``OTEL_*`` environment names the collector.

    Args:
        service: name of this process in the traces.

    Returns:
        A function that sends the remaining spans and switches traces off.

    Raises:
        TracesUnavailable: the extra ``traces`` is missing.
    """
    global _tracer  # noqa: PLW0603 - one tracer per process, as in OpenTelemetry itself
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as problem:
        raise TracesUnavailable(
            f"KARYO_TRACES is set and OpenTelemetry is missing ({problem.name}): pip install 'karyoflow[traces]'"
        ) from problem
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer("karyoflow")

    def disable() -> None:
        global _tracer  # noqa: PLW0603
        _tracer = None
        provider.shutdown()

    return disable


@contextmanager
def span(name: str, **ids: Any) -> Iterator[None]:
    """Bind ``ids`` and the id of the outermost span, ``trace``, to the log lines of the block."""
    opened: AbstractContextManager[Any] = nullcontext()
    if _tracer is not None:
        opened = _tracer.start_as_current_span(name, attributes={f"karyo.{key}": value for key, value in ids.items()})
    with opened as current:
        if "trace" not in get_contextvars():
            ids["trace"] = format(current.get_span_context().trace_id, "032x") if current else uuid.uuid4().hex
        with bound_contextvars(**ids):
            yield


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time one stage of the work on an image; a stage that raises is not counted."""
    began = time.perf_counter()
    with span(name):
        yield
    STAGE_SECONDS.labels(name).observe(time.perf_counter() - began)
    PROGRESS.labels(name).set(time.time())
