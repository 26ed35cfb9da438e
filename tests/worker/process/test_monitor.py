"""Metrics, probes and logs of a real worker, at work and during an outage."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.laboratory import Laboratory

pytestmark = pytest.mark.stack


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def ask(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=15) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read().decode()
    except OSError:
        return 0, ""


def samples(address: str) -> dict[str, float]:
    """Return the value of every sample by its name and labels."""
    lines = [line for line in ask(address, "/metrics")[1].splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_pool_processes_are_counted_by_their_parent_and_logs_name_the_image(laboratory: Laboratory) -> None:
    pipeline = laboratory.pipeline()
    laboratory.add(pipeline, 3)
    laboratory.add(pipeline, 1, prefix="black", value=0)
    address = free_address()
    laboratory.worker(KARYO_METRICS_ADDRESS=address, KARYO_LOG_FORMAT="json")
    laboratory.wait(lambda: ask(address, "/readyz")[0] == 200)
    assert set(json.loads(ask(address, "/readyz")[1])) == {"database", "broker", "object_store", "engine", "pool"}
    laboratory.scheduler()
    laboratory.wait(laboratory.summarised)
    found = samples(address)
    assert found['karyo_images_total{outcome="done",reason=""}'] == 3
    assert found['karyo_images_total{outcome="failed",reason="no_chromosomes"}'] == 1
    for stage, count in {"fetch": 4, "wait": 4, "decode": 4, "draw": 3, "store": 3}.items():
        assert found[f'karyo_stage_seconds_count{{stage="{stage}"}}'] == count
    assert 1 <= found['karyo_stage_seconds_count{stage="write"}'] <= 3  # results that arrive together are one commit
    assert found['karyo_tasks_in_hand{task="karyo.analyse_chunk"}'] == 0
    assert found['karyo_progress_timestamp_seconds{stage="write"}'] > 0
    assert ask(address, "/healthz")[0] == 200
    lines = [json.loads(line) for line in laboratory.log().splitlines() if line.startswith("{")]
    done = [line for line in lines if line["event"] == "analysis.done"]
    assert len({line["trace"] for line in done}) == len({line["image"] for line in done}) == 3


def test_a_worker_without_its_engine_or_its_database_is_not_ready(laboratory: Laboratory) -> None:
    address = free_address()
    laboratory.worker(
        KARYO_METRICS_ADDRESS=address,
        KARYO_ENGINE="tensorrt",
        KARYO_DATABASE_URL="postgresql+psycopg://karyo@127.0.0.1:1/none",
    )
    laboratory.wait(lambda: ask(address, "/readyz")[0] == 503)
    answers = json.loads(ask(address, "/readyz")[1])
    assert answers["database"] == "failed: OperationalError"
    assert answers["broker"] == answers["object_store"] == "ok"
    from models.runtime import ort

    if "TensorrtExecutionProvider" not in ort.get_available_providers():
        assert answers["engine"] == "failed: ONNX Runtime here has no TensorrtExecutionProvider"
