"""The person who calls ``karyo``, as the audit trail names them."""

from __future__ import annotations

import getpass
import os
import socket


def current_user() -> str:
    """Return the user and the host as ``user@host``; a container's user may have only a number."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"
