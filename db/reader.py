"""Role that reads reports: made and granted again where a restore left it out."""

from __future__ import annotations

from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from db.engine import make_engine
from settings import ConfigurationError

READER = "karyo_reporting"
LOCK_KEY = 0x726561646572  # "reader"

# Roles belong to the whole server: another of its databases may make the same one at the same moment.
_CREATE_ROLE = f"""
DO $$
BEGIN
    CREATE ROLE {READER} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$
"""
_GRANTS = (
    f"GRANT USAGE ON SCHEMA reporting TO {READER}",
    f"GRANT SELECT ON ALL TABLES IN SCHEMA reporting TO {READER}",
)
_IS_GRANTED = """
SELECT has_schema_privilege(:reader, 'reporting', 'USAGE')
       AND NOT EXISTS (SELECT FROM pg_class
                       WHERE relnamespace = 'reporting'::regnamespace AND relkind IN ('v', 'm')
                             AND NOT has_table_privilege(:reader, oid, 'SELECT'))
"""


def restore_reader(url: str) -> None:
    """Create the role that reads reports and grant it the views, unless that has been done.

    Raises:
        ConfigurationError: the user of ``url`` may not do so.
    """
    with make_engine(url, application_name="karyo-migrate", pooled=False).begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
        if not connection.scalar(text("SELECT to_regnamespace('reporting') IS NOT NULL")):
            return
        if not connection.scalar(text("SELECT to_regrole(:reader) IS NOT NULL"), {"reader": READER}):
            _execute(connection, _CREATE_ROLE, f"CREATE ROLE {READER} NOLOGIN")
        if not _is_granted(connection):
            for grant in _GRANTS:
                _execute(connection, grant, "; ".join(_GRANTS))
            if not _is_granted(connection):  # PostgreSQL only warns of a grant that it did not make
                raise _incomplete("; ".join(_GRANTS))


def _is_granted(connection: Connection) -> bool:
    return bool(connection.scalar(text(_IS_GRANTED), {"reader": READER}))


def _execute(connection: Connection, statement: str, remedy: str) -> None:
    try:
        connection.execute(text(statement))
    except ProgrammingError as error:
        if isinstance(error.orig, InsufficientPrivilege):
            raise _incomplete(remedy) from error
        raise


def _incomplete(remedy: str) -> ConfigurationError:
    return ConfigurationError(
        f"the role {READER} is not complete, and this user of the database may not complete it; "
        f"run `{remedy};` as a superuser, then `karyo db upgrade`"
    )
