"""Schedules say what happens to missed due times and to campaigns that overlap.

Revision: 0011, after 0010.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

POLICIES = {"missed": ("latest", "skip"), "overlap": ("allow", "wait", "skip")}
"""Values by column; the first one is what schedules did before."""


def upgrade() -> None:
    """Add the columns with their checks."""
    for name, values in POLICIES.items():
        default = sa.text(f"'{values[0]}'")
        op.add_column("schedules", sa.Column(name, sa.Text(), nullable=False, server_default=default), schema="karyo")
        check = f"{name} IN ({', '.join(map(repr, values))})"
        op.create_check_constraint(op.f(f"ck_schedules_{name}"), "schedules", check, schema="karyo")


def downgrade() -> None:
    """Drop the columns."""
    for name in POLICIES:
        op.drop_column("schedules", name, schema="karyo")
