"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from db.engine import check
from telemetry.probes import check_broker, run_checks
from web.context import InContext

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "A service does not answer"}})
def readyz(context: InContext, response: Response) -> dict[str, str]:
    """Database, broker and object store, each asked now. 503 if one of them does not answer."""
    ready, answers = run_checks(
        {
            "database": lambda: check(context.sessions),
            "broker": lambda: check_broker(str(context.settings.broker_url)),
            "object_store": context.store.check,
        }
    )
    if not ready:
        response.status_code = 503
    return answers


@router.get("/metrics", response_class=PlainTextResponse)
def metrics() -> Response:
    """What Prometheus scrapes of this process; nothing of cases or images."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
