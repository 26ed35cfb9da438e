"""Settings of a process of a production installation, checked before it starts to work."""

from __future__ import annotations

from urllib.parse import urlsplit

import redis
from sqlalchemy.exc import SQLAlchemyError

from cli.console import fail
from db.engine import make_engine
from db.outages import describe, is_refusal
from db.version import check_version
from settings import ConfigurationError, Settings
from storage import StoreMisconfigured, StoreUnavailable, open_store
from telemetry.logs import configure, get_logger
from telemetry.probes import check_broker
from telemetry.redaction import redact

log = get_logger("cli")


def configured_settings(*, uses_store: bool = True) -> Settings:
    """Return the settings of a process whose services accept them.

    A service that refuses them ends the process: no restart mends that. A service that does not answer is logged, and
    the process waits for it as in any later outage.

    Args:
        uses_store: whether the process uses the object store.

    Raises:
        ConfigurationError: the database or the broker refuses the settings, or the schema is another one.
        StoreMisconfigured: the object store refuses them.
    """
    settings = Settings()
    if not settings.is_configured:
        fail(
            "this process needs KARYO_DATABASE_URL, KARYO_BROKER_URL and KARYO_OBJECT_STORE; "
            "to run everything on this machine instead, use `karyo up`",
            code=2,
        )
    configure(settings.log_format)
    _check_database(str(settings.database_url))
    _check_broker(str(settings.broker_url))
    if uses_store:
        _check_store(settings)
    return settings


def _check_database(url: str) -> None:
    engine = make_engine(url, application_name="karyo-start", pooled=False)  # the process may fork: keep no connection
    try:
        check_version(engine)
    except SQLAlchemyError as problem:
        if is_refusal(problem):
            raise
        log.warning("process.service_unavailable", service="database", problem=describe(problem))


def _check_broker(url: str) -> None:
    if urlsplit(url).scheme == "redis+socket":  # known to Celery only
        return
    try:
        check_broker(url)
    except (redis.AuthenticationError, redis.ResponseError, TypeError, ValueError) as problem:
        reason = redact(str(problem)).rstrip(".")
        raise ConfigurationError(
            f"the broker refuses KARYO_BROKER_URL: {reason}; correct its user, password or database"
        ) from problem
    except (redis.RedisError, OSError) as problem:
        log.warning("process.service_unavailable", service="broker", problem=redact(str(problem)))


def _check_store(settings: Settings) -> None:
    try:
        open_store(str(settings.object_store), endpoint_url=settings.s3_endpoint_url).check()
    except StoreMisconfigured:
        raise
    except StoreUnavailable as problem:
        log.warning("process.service_unavailable", service="object_store", problem=str(problem))
