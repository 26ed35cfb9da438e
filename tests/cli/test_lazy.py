"""A command is loaded when it is called, and a process loads no more than its work takes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import typer
from sqlalchemy import make_url

from cli.lazy import load
from cli.main import COMMANDS, app

SCIENCE = {"PIL", "cv2", "numpy", "onnxruntime", "pyarrow", "scipy", "skimage", "torch", "tensorrt"}
"""Packages with libraries of their own, each of many megabytes."""


def test_help_loads_nothing_but_itself() -> None:
    code = f"""
import sys
from cli.main import app
sys.argv = ["karyo", "--help"]
try:
    app()
finally:
    print(sorted(({SCIENCE} | {{"sqlalchemy", "celery", "boto3", "fastapi"}}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_of_a_command_what_the_command_says_of_itself(name: str) -> None:
    real = load(name, COMMANDS[name])
    (first, *_) = real.help.split("\n\n")
    assert COMMANDS[name].help == " ".join(first.split())


def test_a_misspelt_command_is_recognised() -> None:
    command = typer.main.get_command(app)
    with pytest.raises(SystemExit) as left:
        command(["scheduller"])
    assert left.value.code == 2


@pytest.mark.stack
def test_a_scheduler_holds_no_science_in_its_memory(postgres_url: str, redis_url: str, tmp_path: Path) -> None:
    urls = {"DATABASE_URL": postgres_url, "BROKER_URL": redis_url, "OBJECT_STORE": tmp_path.as_uri(), "EMBEDDED": "1"}
    environment = os.environ | {f"KARYO_{name}": value for name, value in urls.items()}
    process = subprocess.Popen([sys.executable, "-m", "cli.main", "scheduler"], env=environment)
    try:
        with psycopg.connect(
            make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False)
        ) as connection:
            listening = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'karyo-listener'"
            deadline = time.monotonic() + 60
            while connection.execute(listening).fetchone() != (1,):  # after a first round of all its duties
                assert time.monotonic() < deadline
                assert process.poll() is None
                connection.rollback()
                time.sleep(0.1)
        mapped = Path(f"/proc/{process.pid}/maps").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    packages = {
        Path(line.split(maxsplit=5)[5].partition("site-packages/")[2]).parts[:1]
        for line in mapped.splitlines()
        if "site-packages/" in line
    }
    loaded = {name.partition(".")[0] for parts in packages for name in parts}
    assert "psycopg_binary" in loaded
    assert not loaded & SCIENCE
