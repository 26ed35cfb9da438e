"""``karyo scheduler``: a scheduler of a production installation."""

from __future__ import annotations

from cli.process_settings import configured_settings
from scheduler import main
from worker import make_publisher


def scheduler() -> None:
    """Dispatch images, recover lost work and create campaigns by the clock.

    Any number of schedulers may run at once.
    """
    settings = configured_settings(uses_store=False)
    main(settings, make_publisher(settings))
