"""Settings of a process of a production installation."""

from __future__ import annotations

from cli.console import fail
from settings import Settings


def configured_settings() -> Settings:
    """Return the settings; exit with status 2 if the services' addresses are missing."""
    settings = Settings()
    if not settings.is_configured:
        fail(
            "this process needs KARYO_DATABASE_URL, KARYO_BROKER_URL and KARYO_OBJECT_STORE; "
            "to run everything on this machine instead, use `karyo up`",
            code=2,
        )
    return settings
