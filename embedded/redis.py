"""Redis of the embedded stack: loopback, a password, no persistence.

PostgreSQL is the queue of record, so Redis has nothing to persist.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from embedded.binaries import redis_program
from embedded.supervisor import ProcessSpec, die_with_parent


@dataclass(frozen=True)
class RedisServer:
    """A Redis or Valkey server on a port of 127.0.0.1.

    Args:
        home: KARYO_HOME, absolute.
        password: required from every client.
        port: TCP port; see ``free_port``.
    """

    home: Path
    password: str
    port: int

    @property
    def log(self) -> Path:
        """Log file of the server."""
        return self.home / "logs" / "redis.log"

    @property
    def url(self) -> str:
        """URL of the server's database 0."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> ProcessSpec:
        """Write the configuration file and return the process to start.

        The password is in the file, so that the process list does not show it.
        """
        config = self.home / "run" / "redis.conf"
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password}",
            'save ""',
            "appendonly no",
            "maxmemory-policy noeviction",
            f"dir {_quoted(self.home / 'run')}",
        ]
        config.unlink(missing_ok=True)
        with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("\n".join(lines) + "\n")
        argv = [*die_with_parent(15), str(redis_program()), str(config)]
        return ProcessSpec("redis", argv, str(self.log), grace_seconds=5.0)

    def is_ready(self) -> bool:
        """Return whether the server answers a PING; a refused connection is the answer no, at once."""
        once = Retry(NoBackoff(), 0)  # the client's own retries wait for seconds
        client = redis.Redis(host="127.0.0.1", port=self.port, password=self.password, socket_timeout=2, retry=once)
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        finally:
            client.close()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that no process listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
