"""Does a process live, and can it work? Answered over HTTP, beside its metrics, for those that serve no pages."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import redis
from prometheus_client import CollectorRegistry, make_wsgi_app

from telemetry.sidecar import companion

log = logging.getLogger(__name__)

Check = Callable[[], None]
"""Returns if all is well, and raises otherwise."""


def outcomes(checks: Mapping[str, Check]) -> tuple[bool, dict[str, str]]:
    """Whether all is well, and by name what each check says: ``ok``, or which kind of error it met."""
    answers = {name: _outcome(check) for name, check in checks.items()}
    return set(answers.values()) <= {"ok"}, answers


def _outcome(check: Check) -> str:
    try:
        check()
    except NotWell as problem:
        return f"failed: {problem}"
    except Exception as problem:  # whatever a driver raises, its service does not do its work
        return f"failed: {type(problem).__name__}"  # no more: messages of drivers hold addresses and users
    return "ok"


class NotWell(Exception):
    """What a check of ours found; unlike those of drivers, its message may be shown to anybody."""


def broker_answers(url: str) -> None:
    """Ask Redis for a sign of life; raises ``redis.RedisError``."""
    with redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
        client.ping()


class Pulse:
    """The last time that a loop went round."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit = limit_seconds
        self._last = time.monotonic()

    def beat(self) -> None:
        """The loop goes round."""
        self._last = time.monotonic()

    def check(self) -> None:
        """Raise ``NotWell`` if the last beat is too long ago."""
        silent = time.monotonic() - self._last
        if silent > self._limit:
            raise NotWell(f"silent for {silent:.0f} s")


class Server:
    """``/metrics``, ``/healthz`` and ``/readyz`` of one process, from a thread of its own."""

    def __init__(
        self, address: str, registry: CollectorRegistry, alive: Mapping[str, Check], ready: Mapping[str, Check]
    ) -> None:
        """Listen on ``address``, as ``host:port``; port 0 is any that is free.

        Raises:
            OSError: somebody else listens there.
        """
        metrics = make_wsgi_app(registry)
        probes = {"/healthz": alive, "/readyz": ready}

        def answer(environ: dict[str, object], start: Callable[..., object]) -> Iterable[bytes]:
            path = environ["PATH_INFO"]
            if path == "/metrics":
                return metrics(environ, start)  # type: ignore[no-any-return]
            if path not in probes:
                well, answers = None, {"detail": "there are /metrics, /healthz and /readyz"}
            else:
                well, answers = outcomes(probes[str(path)])
            status = {True: HTTPStatus.OK, False: HTTPStatus.SERVICE_UNAVAILABLE, None: HTTPStatus.NOT_FOUND}[well]
            start(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
            return [json.dumps(answers).encode()]

        host, _, port = address.rpartition(":")
        self._server = make_server(host.strip("[]"), int(port), answer, _Threading, _Silent)
        self.address = f"{host}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, name="probes", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def served(
    address: str | None, registry: CollectorRegistry, *, alive: Mapping[str, Check], ready: Mapping[str, Check]
) -> Iterator[Server | None]:
    """A ``Server`` while the block runs; none without an address, or, with an error logged, if it is taken."""
    try:
        server = Server(address, registry, alive, ready) if address else None
    except OSError as problem:
        # Work goes on unwatched rather than not at all; Prometheus notices that nobody answers.
        log.error("no metrics and no probes", extra={"address": address, "problem": str(problem)})
        server = None
    if server:
        log.info("metrics and probes", extra={"address": server.address})
    try:
        yield server
    finally:
        if server:
            server.close()


@contextmanager
def served_beside(
    address: str | None, registry: CollectorRegistry, *, alive: Mapping[str, Check], ready: Mapping[str, Check]
) -> Iterator[None]:
    """As ``served``, from a companion of this process, which forks and so must not thread."""
    if address is None:
        yield
        return

    def serve(seconds: Iterator[None]) -> None:
        with served(address, registry, alive=alive, ready=ready):
            for _ in seconds:
                pass

    with companion("probes", serve):
        yield


class _Threading(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: a probe comes every few seconds."""
