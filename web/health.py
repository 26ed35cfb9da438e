"""Liveness and readiness of the process, and its metrics."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from db.engine import check
from telemetry.probes import check_broker, run_checks
from web.context import InContext
from web.schemas import Schema

router = APIRouter(tags=["health"])


class Liveness(Schema):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(Schema):
    """Answers of the services: ``ok``, or ``failed`` and why."""

    database: str
    broker: str
    object_store: str


@router.get("/healthz")
async def healthz() -> Liveness:
    """Return that the process answers."""
    return Liveness()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "A service does not answer"}})
def readyz(context: InContext, response: Response) -> Readiness:
    """Ask database, broker and object store. 503 if one of them does not answer."""
    ready, answers = run_checks(
        {
            "database": lambda: check(context.sessions),
            "broker": lambda: check_broker(str(context.settings.broker_url)),
            "object_store": context.store.check,
        }
    )
    if not ready:
        response.status_code = 503
    return Readiness.model_validate(answers)


@router.get("/metrics", response_class=PlainTextResponse)
def metrics() -> Response:
    """Return the metrics of this process for Prometheus; they name no cases or images."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
