"""Liveness and readiness probes over HTTP, for processes that serve no pages."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import redis
from prometheus_client import CollectorRegistry, make_wsgi_app

from telemetry.logs import get_logger
from telemetry.sidecar import run_sidecar

log = get_logger(__name__)

BROKER_TIMEOUT = 3  # s, of the connection and of its answer

Check = Callable[[], None]
"""Returns if all is well, and raises otherwise."""


class CheckFailed(Exception):
    """A failed check of karyoflow; unlike a driver's message, its message is fit for anybody."""


def run_checks(checks: Mapping[str, Check]) -> tuple[bool, dict[str, str]]:
    """Run every check.

    Args:
        checks: by name.

    Returns:
        Whether all passed, and by name ``ok`` or ``failed`` with the kind of error.

    >>> run_checks({"loop": lambda: None})
    (True, {'loop': 'ok'})
    """
    answers = {name: _run(check) for name, check in checks.items()}
    return set(answers.values()) <= {"ok"}, answers


def _run(check: Check) -> str:
    try:
        check()
    except CheckFailed as problem:
        return f"failed: {problem}"
    except Exception as problem:  # each driver raises errors of its own
        return f"failed: {type(problem).__name__}"  # messages of drivers hold addresses and users
    return "ok"


def check_broker(url: str) -> None:
    """Ping Redis.

    Raises:
        redis.RedisError: it does not answer.
    """
    with redis.Redis.from_url(url, socket_timeout=BROKER_TIMEOUT, socket_connect_timeout=BROKER_TIMEOUT) as client:
        client.ping()


class Pulse:
    """Time since a loop last completed an iteration.

    Args:
        limit_seconds: longest time between two beats of a healthy loop.
    """

    def __init__(self, limit_seconds: float) -> None:
        self._limit = limit_seconds
        self._last = time.monotonic()

    def beat(self) -> None:
        """Record an iteration of the loop."""
        self._last = time.monotonic()

    def check(self) -> None:
        """Raise ``CheckFailed`` if the last beat is too long ago."""
        silent = time.monotonic() - self._last
        if silent > self._limit:
            raise CheckFailed(f"silent for {silent:.0f} s")


class ProbeServer:
    """``/metrics``, ``/healthz`` and ``/readyz`` of one process, served by a thread.

    Args:
        address: ``host:port``; port 0 takes any free port.
        registry: behind ``/metrics``.
        alive: checks behind ``/healthz``.
        ready: checks behind ``/readyz``.

    Raises:
        OSError: another process listens on the address.
    """

    def __init__(
        self, address: str, registry: CollectorRegistry, alive: Mapping[str, Check], ready: Mapping[str, Check]
    ) -> None:
        metrics = make_wsgi_app(registry)
        probes = {"/healthz": alive, "/readyz": ready}

        def answer(environ: dict[str, object], start: Callable[..., object]) -> Iterable[bytes]:
            path = str(environ["PATH_INFO"])
            if path == "/metrics":
                return metrics(environ, start)  # type: ignore[no-any-return]
            if path in probes:
                passed, answers = run_checks(probes[path])
                status = HTTPStatus.OK if passed else HTTPStatus.SERVICE_UNAVAILABLE
            else:
                status, answers = HTTPStatus.NOT_FOUND, {"detail": "there are /metrics, /healthz and /readyz"}
            start(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
            return [json.dumps(answers).encode()]

        host, _, port = address.rpartition(":")
        self._server = make_server(host.strip("[]"), int(port), answer, _ThreadingServer, _QuietHandler)
        self.address = f"{host}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, name="probes", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serve_probes(
    address: str | None, registry: CollectorRegistry, *, alive: Mapping[str, Check], ready: Mapping[str, Check]
) -> Iterator[ProbeServer | None]:
    """Run a ``ProbeServer`` during the block.

    Args:
        address: ``host:port``, or None for no server.
        registry: behind ``/metrics``.
        alive: checks behind ``/healthz``.
        ready: checks behind ``/readyz``.

    Yields:
        The server; None without an address, and None with an error logged if the address is taken.
    """
    try:
        server = ProbeServer(address, registry, alive, ready) if address else None
    except OSError as problem:
        # The work goes on unmonitored; Prometheus notices that nobody answers.
        log.error("probes.unavailable", address=address, problem=str(problem))
        server = None
    if server:
        log.info("probes.started", address=server.address)
    try:
        yield server
    finally:
        if server:
            server.close()


@contextmanager
def serve_probes_in_sidecar(
    address: str | None, registry: CollectorRegistry, *, alive: Mapping[str, Check], ready: Mapping[str, Check]
) -> Iterator[None]:
    """Run ``serve_probes`` in a sidecar, for a process that forks."""
    if address is None:
        yield
        return

    def serve(ticks: Iterator[None]) -> None:
        with serve_probes(address, registry, alive=alive, ready=ready):
            for _ in ticks:
                pass

    with run_sidecar("probes", serve):
        yield


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Log nothing: a probe comes every few seconds."""
