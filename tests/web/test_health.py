"""Liveness and readiness."""

from __future__ import annotations

from tests.support.web import Open


def test_a_healthy_process_is_alive_and_ready(open_app: Open) -> None:
    with open_app() as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"database": "ok", "broker": "ok", "object_store": "ok"}


def test_readiness_names_the_failed_service_and_no_secret(open_app: Open) -> None:
    with open_app(broker_url="redis://:hush@127.0.0.1:1/0") as client:
        ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["database"] == "ok"
    assert ready.json()["broker"].startswith("failed")
    assert "hush" not in ready.text
