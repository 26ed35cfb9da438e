"""Nothing calls home: a run looks up no name and writes nothing outside KARYO_HOME.

The stack runs in a network namespace whose only interface is loopback.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from training.simulation import simulate

NAMESERVER = """
import socket, subprocess, sys, threading
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
names = set()

def listen():
    while True:
        query, place, labels = server.recv(2048), 12, []
        while length := query[place]:
            labels.append(query[place + 1 : place + 1 + length].decode())
            place += length + 1
        names.add(".".join(labels))

threading.Thread(target=listen, daemon=True).start()
status = subprocess.run(sys.argv[1:]).returncode
print("looked up:", *sorted(names))
sys.exit(status)
"""
"""Runs a command and prints every name that any process asks 127.0.0.1:53 for."""
ISOLATE = """
ip link set lo up
printf 'nameserver 127.0.0.1\\noptions timeout:1 attempts:1\\n' > "$0"
mount --bind "$0" /etc/resolv.conf
exec "$@"
"""


def isolated(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """Run ``command`` on loopback alone, with HOME in ``folder`` and telemetry allowed."""
    allowed = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment = allowed | {"HOME": str(folder / "home"), "KARYO_HOME": str(folder / "karyo")}
    (folder / "home").mkdir(exist_ok=True)
    shell = ["unshare", "--net", "--mount", "sh", "-ec", ISOLATE, str(folder / "resolv.conf")]
    words = [*shell, sys.executable, "-c", NAMESERVER, *map(str, command)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if isolated(tmp_path, "true").returncode != 0:
        pytest.skip("this user cannot make a network namespace, or `unshare` and `ip` are missing")
    return tmp_path


def test_a_look_up_is_seen(folder: Path) -> None:
    code = "import socket\ntry: socket.getaddrinfo('example.org', 80)\nexcept OSError: pass"
    assert isolated(folder, sys.executable, "-c", code).stdout == "looked up: example.org\n"


@pytest.mark.stack
def test_the_whole_stack_looks_nothing_up_and_keeps_to_its_home(folder: Path) -> None:
    (folder / "images").mkdir()
    cell = simulate({21: 2, 1: 2}, seed=1, contrast="fluorescence", nuclei=0, debris=0, shape=(180, 220))
    Image.fromarray(cell.pixels).save(folder / "images" / "cell.png")
    karyo = [sys.executable, "-m", "cli.main"]
    done = isolated(folder, *karyo, "run", folder / "images", "--case", "A", "--out", folder / "report")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "looked up:\n"
    assert list((folder / "home").rglob("*")) == []
