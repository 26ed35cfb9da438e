from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"migrate", "engines"}
SECRET = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|TOKEN")
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?P<rest>[^}]*)\}")


def test_matches_the_specification() -> None:
    schema = json.loads((Path(__file__).parent / "compose.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    errors = [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(COMPOSE)
    ]
    assert errors == []


def test_secrets_are_required_with_a_sentence_and_have_no_default() -> None:
    named = [match for match in VARIABLE.finditer(TEXT) if SECRET.search(match["name"])]
    assert {match["name"] for match in named} == {
        "KARYO_DATABASE_PASSWORD",
        "KARYO_BROKER_PASSWORD",
        "KARYO_S3_ACCESS_KEY",
        "KARYO_S3_SECRET_KEY",
    }
    assert all(match["rest"].startswith(":?set ") for match in named)


def test_no_secret_is_written_down() -> None:
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if SECRET.search(key):
                assert VARIABLE.fullmatch(value), f"{name}: {key}"
            if "://" in str(value) and "@" in value:
                assert VARIABLE.fullmatch(value.split("://")[1].split("@")[0].rpartition("karyo:")[2].removeprefix(":"))


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    tag = SERVICES[name]["image"].rpartition(":")[2]
    assert re.match(r"v?\d+\.\d+", tag), SERVICES[name]["image"]


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_watched_restarted_and_given_time(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert service["restart"].startswith("on-failure")
        return
    assert service["restart"] == "unless-stopped"
    assert "healthcheck" in service
    assert "stop_grace_period" in service


def test_dependencies_and_volumes_and_networks_exist() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            assert (how["condition"] == "service_completed_successfully") == (other in ONE_SHOT)
        sources = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert {source for source in sources if not source.startswith("./")} <= set(COMPOSE["volumes"])
        assert all((ROOT / source).is_dir() for source in sources if source.startswith("./"))
        assert set(service["networks"]) <= set(COMPOSE["networks"])


def test_only_pages_and_prometheus_are_reachable_and_only_from_this_host() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"web", "prometheus"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert COMPOSE["networks"]["inside"]["internal"] is True


def test_our_own_containers_are_locked() -> None:
    ours = {name: service for name, service in SERVICES.items() if service["image"].startswith("karyoflow/")}
    assert set(ours) == {"migrate", "engines", "scheduler", "worker-cpu", "worker-gpu", "web"}
    for name, service in ours.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_the_gpu_worker_reserves_one_gpu_and_finds_its_engines_built() -> None:
    worker, builder = SERVICES["worker-gpu"], SERVICES["engines"]
    for service in (worker, builder):
        assert service["profiles"] == ["gpu"]
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert builder["command"] == ["models", "build"]
    assert worker["depends_on"]["engines"] == {"condition": "service_completed_successfully"}
    assert worker["volumes"] == builder["volumes"]
    assert worker["environment"] == builder["environment"]
    (volume,) = worker["volumes"]
    assert worker["environment"]["XDG_CACHE_HOME"] == volume.partition(":")[2]
