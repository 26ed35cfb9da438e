"""The application: its routes, its connections, and what every response carries."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

from db.engine import make_engine, make_sessions
from settings import Settings
from storage import open_store
from telemetry.metrics import HTTP_SECONDS
from web import api, health, objects, pages
from web.access import refuse_strangers
from web.context import Context

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(settings: Settings) -> FastAPI:
    """Pages at ``/``, the API under ``/api/v1``.

    Args:
        settings: with the addresses of the services. In the embedded mode, which listens on loopback only, no API key
            is asked for; otherwise writes need one.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        engine.dispose()

    engine = make_engine(str(settings.database_url), application_name="karyo-web", pool_size=10)
    # Swagger's pages would load scripts from elsewhere; the schema itself is at /openapi.json.
    app = FastAPI(title="karyoflow", version="1", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.context = Context(
        settings,
        make_sessions(engine),
        open_store(str(settings.object_store), endpoint_url=settings.s3_endpoint_url),
    )

    @app.middleware("http")
    async def guard(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        began = time.perf_counter()
        response = refuse_strangers(request, embedded=settings.embedded) or await answer(request)
        route = getattr(request.scope.get("route"), "path", None)  # its pattern: a path may hold a case's number
        names = (request.method, route) if route else ("any", "none")
        HTTP_SECONDS.labels(*names, response.status_code).observe(time.perf_counter() - began)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    for routes in (health.router, api.router, objects.router, pages.router):
        app.include_router(routes)
    return app
