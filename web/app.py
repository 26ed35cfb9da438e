"""The application: its routes, its connections, and the headers of every response."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

from db.engine import make_engine, make_sessions
from settings import Settings
from storage import open_store
from telemetry.metrics import HTTP_SECONDS
from web import health, objects, pages, status
from web.access import LOOPBACK_HOSTS, refuse_foreign_write
from web.cases import endpoints as cases
from web.context import Context
from web.images import endpoints as images

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(settings: Settings) -> FastAPI:
    """Return the application with pages at ``/`` and the API under ``/api/v1``.

    Args:
        settings: Settings with the addresses of the services. In the embedded mode, which listens on loopback only, no
            API key is asked for; otherwise writes need one.
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
    app.add_middleware(
        TrustedHostMiddleware, allowed_hosts=LOOPBACK_HOSTS if settings.embedded else ["*"], www_redirect=False
    )
    app.middleware("http")(_guard)  # added last, so it sees refused hosts too
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    for router in (health.router, _api(), objects.router, pages.router):
        app.include_router(router)
    return app


def _api() -> APIRouter:
    api = APIRouter(prefix="/api/v1", tags=["api"])
    for router in (status.router, cases.router, images.router):
        api.include_router(router)
    return api


async def _guard(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuse writes of other sites' pages, measure the request, and add the security headers."""
    start = time.perf_counter()
    response = refuse_foreign_write(request) or await answer(request)
    route = getattr(request.scope.get("route"), "path", None)  # its pattern: a path may hold a case's number
    method, pattern = (request.method, route) if route else ("any", "none")
    HTTP_SECONDS.labels(method, pattern, response.status_code).observe(time.perf_counter() - start)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
