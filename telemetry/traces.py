"""Steps of the work: timed, named in every log line within them, and sent as OpenTelemetry traces if that is on.

Tracing is an extra (``pip install 'karyoflow[traces]'``) and off unless ``enable`` is called. Trace ids are in the logs
either way.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from telemetry import logs
from telemetry.metrics import PROGRESS, STAGE_SECONDS

_tracer: Any = None


class TracesUnavailable(Exception):
    """Traces were asked for and the extra is not installed."""


def enable(service: str) -> Callable[[], None]:
    """Send the traces of this process, as the ``OTEL_*`` environment says; call it after a fork. What ends it.

    Raises:
        TracesUnavailable: the extra ``traces`` is missing.
    """
    global _tracer  # noqa: PLW0603 - one per process, as OpenTelemetry itself has it
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
    """Do one thing for ``ids``: log lines within carry them, and the id of the outermost span as ``trace``."""
    began: AbstractContextManager[Any] = nullcontext()
    if _tracer is not None:
        began = _tracer.start_as_current_span(name, attributes={f"karyo.{key}": value for key, value in ids.items()})
    with began as current:
        if "trace" not in logs.bound():
            ids["trace"] = format(current.get_span_context().trace_id, "032x") if current else uuid.uuid4().hex
        with logs.bind(**ids):
            yield


@contextmanager
def stage(name: str) -> Iterator[None]:
    """One step of the work on an image, timed."""
    began = time.perf_counter()
    with span(name):
        yield
    STAGE_SECONDS.labels(name).observe(time.perf_counter() - began)
    PROGRESS.labels(name).set(time.time())
