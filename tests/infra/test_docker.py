from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from prometheus_client import CollectorRegistry

from telemetry.probes import serve_probes

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / "infra" / "docker").glob("Dockerfile.*"))


def instructions(file: Path) -> Iterator[tuple[str, str]]:
    """Instruction and argument of every line, continuation lines joined."""
    for line in file.read_text().replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


def test_there_is_one_for_cpu_and_one_for_cuda() -> None:
    assert [file.suffix for file in FILES] == [".cpu", ".cuda"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.suffix)
def test_bases_are_pinned(file: Path) -> None:
    defaults = dict(rest.split("=", 1) for word, rest in instructions(file) if word == "ARG")
    bases = [rest.split()[0] for word, rest in instructions(file) if word == "FROM"]
    assert len(bases) == 2
    for base in bases:
        image = defaults[base[2:-1]] if base.startswith("${") else base
        assert re.search(r":\d+\.\d+\.\d+-", image), image


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.suffix)
def test_runs_as_an_ordinary_user_and_fetches_nothing_unpinned(file: Path) -> None:
    lines = list(instructions(file))
    last_stage = lines[max(number for number, (word, _) in enumerate(lines) if word == "FROM") :]
    users = [rest for word, rest in last_stage if word == "USER"]
    assert users == ["10001:10001"]
    assert "HEALTHCHECK" in {word for word, _ in last_stage}
    assert "ADD" not in {word for word, _ in lines}
    commands = " ".join(rest for word, rest in lines if word == "RUN")
    assert "-c constraints.txt" in commands
    assert "curl" not in commands
    assert "wget" not in commands


def test_versions_have_one_home() -> None:
    """Every package is pinned in constraints.txt, and no Dockerfile pins one of its own."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}
    wanted = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {canonicalize_name(Requirement(text).name) for texts in wanted for text in texts}
    assert names - pinned == set()
    assert all("==" not in file.read_text() for file in FILES)


def test_production_images_bring_no_embedded_servers() -> None:
    extras = {extra for file in FILES for extra in re.findall(r"'\.\[(.+?)\]'", file.read_text())}
    assert extras == {"cpu,formats,traces", "gpu,formats,traces"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.suffix)
def test_every_room_is_copied_and_nothing_is_ignored_that_is(file: Path) -> None:
    copied = {path for word, rest in instructions(file) if word == "COPY" for path in rest.split()[:-1]}
    sources = {path for path in copied if not path.startswith(("--", "/"))}
    rooms = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    assert set(rooms) <= sources
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert sources <= kept


@pytest.fixture
def health() -> ModuleType:
    spec = importlib.util.spec_from_file_location("health", ROOT / "infra" / "docker" / "health.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_only_a_page_that_answers_well_is_healthy(health: ModuleType) -> None:
    with serve_probes("127.0.0.1:0", CollectorRegistry(), alive={"a": int}, ready={"a": lambda: 1 // 0}) as server:
        assert server is not None
        assert health.healthy(f"http://{server.address}/healthz")
        assert not health.healthy(f"http://{server.address}/readyz")
    assert not health.healthy(f"http://{server.address}/healthz")
