"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

from collections.abc import Callable

import redis
from fastapi import APIRouter, Response
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from storage import StorageError
from web.context import Context, InContext

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "A service does not answer"}})
def readyz(context: InContext, response: Response) -> dict[str, str]:
    """Database, broker and object store, each asked now. 503 if one of them does not answer."""
    checks = {"database": _database, "broker": _broker, "object_store": _object_store}
    answers = {name: _outcome(check, context) for name, check in checks.items()}
    if set(answers.values()) != {"ok"}:
        response.status_code = 503
    return answers


def _outcome(check: Callable[[Context], None], context: Context) -> str:
    try:
        check(context)
    except (SQLAlchemyError, redis.RedisError, StorageError) as error:
        return f"failed: {type(error).__name__}"  # no more: messages of drivers hold addresses and users
    return "ok"


def _database(context: Context) -> None:
    with context.sessions() as session:
        session.execute(text("SELECT 1 FROM karyo.analyses LIMIT 1"))


def _broker(context: Context) -> None:
    with redis.Redis.from_url(str(context.settings.broker_url), socket_timeout=3, socket_connect_timeout=3) as client:
        client.ping()


def _object_store(context: Context) -> None:
    context.store.check()
