"""A command is imported when it is called, and a process imports only what its work needs."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import typer
from PIL import Image
from sqlalchemy import make_url

from cli.lazy import load
from cli.main import COMMANDS, app
from training.simulation import simulate

SCIENCE = {"PIL", "cv2", "numpy", "onnxruntime", "pyarrow", "scipy", "skimage", "torch", "tensorrt"}
"""Packages with libraries of their own, each of many megabytes."""
SERVICES = {"alembic", "boto3", "botocore", "celery", "fastapi", "kombu", "psycopg", "redis", "sqlalchemy"}
"""Packages that connect to services."""


def imported_by(*arguments: str) -> tuple[set[str], str]:
    """Return the modules that a call of ``karyo`` imports, and its output."""
    code = f"""
import sys
from cli.main import app
sys.argv = {["karyo", *arguments]}
try:
    app()
finally:
    print(sorted(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *output, modules = done.stdout.splitlines()
    return set(ast.literal_eval(modules)), "\n".join(output)


def test_help_imports_neither_science_nor_services() -> None:
    modules, output = imported_by("--help")
    assert modules & (SCIENCE | SERVICES) == set()
    assert all(name in output for name in COMMANDS)


def test_analyse_imports_no_services(tmp_path: Path) -> None:
    cell = simulate({1: 2, 8: 2, 21: 2}, seed=2, nuclei=0, debris=0, shape=(200, 260))
    Image.fromarray(cell.pixels).save(tmp_path / "cell.png")
    files = ["--coco", str(tmp_path / "coco.json"), "--cells", str(tmp_path / "cells.csv")]
    modules, _ = imported_by("analyse", str(tmp_path / "cell.png"), *files)
    assert modules & SERVICES == set()
    assert (tmp_path / "coco.json").stat().st_size > 1000


def test_classify_imports_no_services() -> None:
    modules, _ = imported_by("classify", "--help")
    assert modules & SERVICES == set()


def test_status_imports_no_science() -> None:
    modules, _ = imported_by("status", "--help")
    assert modules & SCIENCE == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_short_help_is_the_first_paragraph_of_the_commands_help(name: str) -> None:
    command = load(name, COMMANDS[name])
    (first, *_) = command.help.split("\n\n")
    assert COMMANDS[name].help == " ".join(first.split())


def test_misspelt_command_exits_with_2() -> None:
    command = typer.main.get_command(app)
    with pytest.raises(SystemExit) as exited:
        command(["scheduller"])
    assert exited.value.code == 2


@pytest.mark.stack
def test_scheduler_loads_no_library_of_the_science(postgres_url: str, redis_url: str, tmp_path: Path) -> None:
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
