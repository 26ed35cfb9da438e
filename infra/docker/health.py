"""Health of a container: ``health.py URL`` asks a page, ``health.py PORT`` wants an open connection to that port.

The second is for processes that serve nothing: a worker without its broker, or a scheduler without its database, does
no work, and both hold their connection as long as they do. Exit status 0 is healthy. Standard library only.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from pathlib import Path

ESTABLISHED = "01"  # proc(5), /proc/net/tcp


def connected(port: int, tables: tuple[Path, ...]) -> bool:
    """Whether one of the kernel's tables has an established connection to ``port`` of another host."""
    for table in tables:
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            _, _, remote, state, *_ = line.split()
            if state == ESTABLISHED and int(remote.rpartition(":")[2], 16) == port:
                return True
    return False


def healthy(target: str) -> bool:
    """Whether ``target`` (a URL or a port) is well."""
    if target.isdecimal():
        return connected(int(target), (Path("/proc/net/tcp"), Path("/proc/net/tcp6")))
    try:
        with urllib.request.urlopen(target, timeout=6) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if healthy(sys.argv[1]) else 1)
