"""Log lines carry the ids of their span; with the extra, spans reach a collector."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.contextvars import get_contextvars

from telemetry import traces
from telemetry.logs import formatter
from telemetry.traces import span, stage


def line() -> dict[str, Any]:
    record = logging.makeLogRecord({"name": "storage", "levelname": "INFO", "msg": "slow"})
    return dict(json.loads(formatter("json").format(record)))


def test_lines_within_a_span_carry_its_ids_and_one_trace() -> None:
    with span("chunk"):
        outer = line()["trace"]
        with span("image", analysis=7, image=3):
            inner = line()
        assert "analysis" not in line()
    assert (inner["analysis"], inner["image"], inner["trace"]) == (7, 3, outer)
    assert len(outer) == 32
    assert not get_contextvars()
    with span("chunk"):
        assert line()["trace"] != outer


def test_a_stage_that_raises_is_not_counted() -> None:
    def count() -> float:
        return REGISTRY.get_sample_value("karyo_stage_seconds_count", {"stage": "measure"}) or 0

    before = count()
    with stage("measure"):
        pass
    with pytest.raises(ArithmeticError), stage("measure"):
        raise ArithmeticError
    assert count() == before + 1


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """Run a collector of OpenTelemetry; yield its address and the spans that reach it."""
    received: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

            request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            for resource in request.resource_spans:
                received.extend(each for scope in resource.scope_spans for each in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_spans_reach_a_collector_under_the_trace_id_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra `traces`")
    with collector() as (address, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        end = traces.enable("karyo-test")
        try:
            with span("image", analysis=7):
                logged = line()["trace"]
                with stage("decode"):
                    pass
        finally:
            end()
    by_name = {each.name: each for each in received}
    assert set(by_name) == {"image", "decode"}
    assert by_name["image"].trace_id.hex() == by_name["decode"].trace_id.hex() == logged
    assert by_name["decode"].parent_span_id == by_name["image"].span_id
    assert {item.key: item.value.int_value for item in by_name["image"].attributes} == {"karyo.analysis": 7}
