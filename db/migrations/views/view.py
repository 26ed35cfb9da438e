"""A view with its comments, as a migration creates it."""

from __future__ import annotations

from typing import NamedTuple

from alembic import op


class View(NamedTuple):
    """A view with the meaning of each column, in order, and its query.

    Units are in square brackets.
    """

    name: str
    comment: str
    columns: dict[str, str]
    query: str
    key: tuple[str, ...] = ()
    """Columns of the unique index of a materialised view; empty for a plain view."""

    def create(self) -> None:
        """Create the view with its comments, its index, and the right to read it."""
        kind = "MATERIALIZED VIEW" if self.key else "VIEW"
        name = f"reporting.{self.name}"
        op.execute(f"CREATE {kind} {name} ({', '.join(self.columns)}) AS {self.query}")
        op.execute(f"COMMENT ON {kind} {name} IS $${self.comment}$$")
        for column, meaning in self.columns.items():
            op.execute(f"COMMENT ON COLUMN {name}.{column} IS $${meaning}$$")
        if self.key:
            op.execute(f"CREATE UNIQUE INDEX uq_{self.name} ON {name} ({', '.join(self.key)})")
            op.execute(f"INSERT INTO karyo.report_refreshes (name) VALUES ('{self.name}')")
        op.execute(f"GRANT SELECT ON {name} TO karyo_reporting")

    def drop(self) -> None:
        """Drop the view with its index and its rights."""
        op.execute(f"DROP {'MATERIALIZED VIEW' if self.key else 'VIEW'} reporting.{self.name}")


PIPELINE = {"pipeline": "Name of the pipeline.", "pipeline_digest": "Digest of its document."}
