"""Schema version of a database, compared with the one that karyoflow expects."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from db.schema import SCHEMA
from settings import ConfigurationError

_MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


class SchemaMismatch(ConfigurationError):
    """A database whose schema differs from the one that this version expects."""


def known_versions() -> list[str]:
    """Return the schema versions that this version of karyoflow can migrate to, in order.

    >>> known_versions()[0]
    '0001'
    """
    return sorted(path.name[1:].partition("_")[0] for path in _MIGRATIONS.glob("v*.py"))


def check_version(engine: Engine) -> None:
    """Return if the database has the schema version that this version of karyoflow expects.

    Raises:
        SchemaMismatch: it has another version, or none.
        SQLAlchemyError: the database does not answer.
    """
    with engine.connect() as connection:
        found = read_version(connection)
    if found != (expected := known_versions()[-1]):
        refuse_newer(found)
        state = f"has schema version {found}" if found else "has no tables of karyoflow"
        raise SchemaMismatch(f"the database {state}, and this version needs {expected}; run `karyo db upgrade`")


def read_version(connection: Connection) -> str | None:
    """Return the schema version of a database; None before the first migration."""
    table = f"{SCHEMA}.alembic_version"
    if connection.scalar(text("SELECT to_regclass(:table) IS NULL"), {"table": table}):
        return None
    found: str | None = connection.scalar(text(f"SELECT max(version_num) FROM {table}"))
    return found


def refuse_newer(found: str | None) -> None:
    """Return unless a newer version of karyoflow has migrated the database.

    Raises:
        SchemaMismatch: it has.
    """
    if found is not None and found not in known_versions():
        raise SchemaMismatch(
            f"the database has schema version {found}, and karyoflow {version('karyoflow')} knows only those up to "
            f"{known_versions()[-1]}; install the version of karyoflow that migrated it, or a newer one"
        )
