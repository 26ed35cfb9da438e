"""Probes and metrics over HTTP, and a sidecar that ends with its process."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Gauge

from telemetry.probes import CheckFailed, ProbeServer, Pulse, run_checks, serve_probes, serve_probes_in_sidecar


def ask(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read().decode()


def broken() -> None:
    raise ConnectionError("user:password@host")


def fine() -> None:
    """Pass the check."""


def test_each_probe_answers_for_its_checks_and_metrics_for_the_registry() -> None:
    registry = CollectorRegistry()
    Gauge("answer", "to everything", registry=registry).set(42)
    with serve_probes("127.0.0.1:0", registry, alive={"loop": fine}, ready={"loop": fine, "broker": broken}) as server:
        assert server is not None
        assert ask(server.address, "/healthz") == (200, '{"loop": "ok"}')
        status, text = ask(server.address, "/readyz")
        assert (status, json.loads(text)) == (503, {"loop": "ok", "broker": "failed: ConnectionError"})
        assert "answer 42.0" in ask(server.address, "/metrics")[1]
        assert ask(server.address, "/secrets")[0] == 404
    with pytest.raises(OSError, match="refused"):
        ask(server.address, "/healthz")


def test_the_message_of_a_failed_check_is_shown() -> None:
    def silent() -> None:
        raise CheckFailed("silent for 301 s")

    assert run_checks({"loop": silent}) == (False, {"loop": "failed: silent for 301 s"})


def test_a_pulse_fails_when_it_stops() -> None:
    pulse = Pulse(limit_seconds=0.05)
    pulse.check()
    time.sleep(0.1)
    with pytest.raises(CheckFailed):
        pulse.check()
    pulse.beat()
    pulse.check()


def test_a_taken_address_stops_no_process(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with serve_probes(address, CollectorRegistry(), alive={}, ready={}) as server:
            assert server is None
    assert "probes.unavailable" in caplog.text


def test_the_sidecar_ends_with_a_killed_process_and_frees_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    pid = os.fork()
    if pid == 0:
        with serve_probes_in_sidecar(address, CollectorRegistry(), alive={"loop": fine}, ready={}):
            time.sleep(60)
        os._exit(0)
    deadline = time.monotonic() + 20
    while answers(address) != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while answers(address):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ProbeServer(address, CollectorRegistry(), {}, {}).close()


def answers(address: str) -> int:
    try:
        return ask(address, "/healthz")[0]
    except OSError:
        return 0
