"""Access control: API keys for writes, and no requests on behalf of another site's page."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import select

from db.schema import ApiKey
from web.context import InContext

WRITE = "write"
LOOPBACK_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
"""Hosts that the embedded mode answers to. It asks for no key, and a foreign name that points here is DNS rebinding."""
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_bearer = HTTPBearer(auto_error=False, description="A key of karyo.api_keys; not needed in the embedded mode.")


def refuse_foreign_write(request: Request) -> Response | None:
    """Return the refusal of a write from another site's page; None for other requests."""
    origin = request.headers.get("origin")
    if origin and request.method not in _READS and urlsplit(origin).netloc != request.headers.get("host"):
        return JSONResponse({"detail": f"A page of {origin} may not write here."}, 403)
    return None


def may_write(
    request: Request, context: InContext, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Pass if the request may write.

    Raises:
        HTTPException: 401 without a valid key, 403 with one that may not write.
    """
    if context.settings.embedded:
        return
    scopes = None
    if credentials is not None:
        digest = sha256(credentials.credentials.encode()).hexdigest()
        with context.sessions() as session:
            scopes = session.scalar(
                select(ApiKey.scopes).where(ApiKey.key_sha256 == digest, ApiKey.revoked_at.is_(None))
            )
    if scopes is None:
        is_empty = request.headers.get("Authorization", "").strip().lower() == "bearer"
        reason = "The API key is empty. " if is_empty else ""
        raise HTTPException(
            401,
            f"{reason}Send an API key that is not revoked: Authorization: Bearer KEY",
            {"WWW-Authenticate": "Bearer"},
        )
    if WRITE not in scopes:
        raise HTTPException(403, f"This API key lacks the scope {WRITE!r}.")
