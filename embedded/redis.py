"""Redis of the embedded stack: loopback, a password, nothing on disk, for PostgreSQL is the queue of record."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import redis

from embedded.binaries import broker_program
from embedded.supervisor import Part, die_with_parent


@dataclass(frozen=True)
class Broker:
    """A redis-server on a free port of 127.0.0.1."""

    home: Path
    password: str
    port: int

    @property
    def log(self) -> Path:
        """What the server said."""
        return self.home / "logs" / "redis.log"

    @property
    def url(self) -> str:
        """The broker's URL."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> Part:
        """Write the configuration, which keeps the password out of the process list, and describe the part."""
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
        argv = [*die_with_parent(15), str(broker_program()), str(config)]
        return Part("redis", argv, str(self.log), grace_seconds=5.0)

    def answers(self) -> bool:
        """Whether the server says PONG."""
        client = redis.Redis(host="127.0.0.1", port=self.port, password=self.password, socket_timeout=2)
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        finally:
            client.close()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
