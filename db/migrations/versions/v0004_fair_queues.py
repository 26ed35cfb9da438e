"""Pausable queues, fair lanes, delayed attempts, and the problems of schedules.

Revision: 0004, after 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

READY = "state = 'pending' AND not_before IS NULL"
DEFERRED = "state = 'pending' AND not_before IS NOT NULL"


def upgrade() -> None:
    """Add queues and lanes, and put the analyses in lanes."""
    op.create_table(
        "queues",
        sa.Column("priority", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True)),
        sa.Column("paused_by", sa.Text()),
        sa.Column("served", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("priority", name=op.f("pk_queues")),
        schema="karyo",
    )
    op.create_table(
        "lanes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("lab", sa.Text(), nullable=False),
        sa.Column("served", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("round", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["priority"], ["karyo.queues.priority"], name=op.f("fk_lanes_priority_queues")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lanes")),
        sa.UniqueConstraint("priority", "lab", name=op.f("uq_lanes_priority_lab")),
        schema="karyo",
    )
    op.execute(
        "INSERT INTO karyo.queues (priority) SELECT generate_series(0, 2) UNION SELECT priority FROM karyo.analyses"
    )
    op.add_column("analyses", sa.Column("lane_id", sa.BigInteger()), schema="karyo")
    op.add_column("analyses", sa.Column("round", sa.BigInteger()), schema="karyo")
    op.add_column("analyses", sa.Column("not_before", sa.DateTime(timezone=True)), schema="karyo")
    _assign_lanes()
    for column in ("lane_id", "round"):
        op.alter_column("analyses", column, nullable=False, schema="karyo")
    op.create_foreign_key(
        op.f("fk_analyses_lane_id_lanes"),
        "analyses",
        "lanes",
        ["lane_id"],
        ["id"],
        source_schema="karyo",
        referent_schema="karyo",
    )
    op.create_check_constraint(
        op.f("ck_analyses_deferred_is_pending"), "analyses", "state = 'pending' OR not_before IS NULL", schema="karyo"
    )
    op.drop_index("ix_analyses_pending", "analyses", schema="karyo")
    op.drop_index("ix_analyses_queued", "analyses", schema="karyo")
    _index("ready", ["lane_id", "round", "id"], READY)
    _index("deferred", ["not_before"], DEFERRED)
    _index("queued", ["priority", "queued_at"], "state = 'queued'")
    _index("done", ["pipeline_id", "finished_at"], "state = 'done'")
    _index("finished", ["finished_at"], "finished_at IS NOT NULL")
    # Every image moves its row five times. Left to the default of a fifth of the table, vacuum would come too late.
    op.execute(
        "ALTER TABLE karyo.analyses SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000)"
    )
    op.add_column("schedules", sa.Column("problem", sa.Text()), schema="karyo")


def _assign_lanes() -> None:
    """As if everything that there is had been asked for at once."""
    op.execute(
        """
        INSERT INTO karyo.lanes (priority, lab)
        SELECT DISTINCT a.priority, coalesce(c.lab, '')
        FROM karyo.analyses a JOIN karyo.images i ON i.id = a.image_id JOIN karyo.cases c ON c.id = i.case_id
        """
    )
    op.execute(
        """
        UPDATE karyo.analyses a SET lane_id = l.id, round = p.place / 20
        FROM (SELECT a.id, a.priority, coalesce(c.lab, '') AS lab,
                     row_number() OVER (PARTITION BY a.priority, a.state, i.case_id ORDER BY a.id) - 1 AS place
              FROM karyo.analyses a JOIN karyo.images i ON i.id = a.image_id JOIN karyo.cases c ON c.id = i.case_id) p
        JOIN karyo.lanes l ON l.priority = p.priority AND l.lab = p.lab
        WHERE p.id = a.id
        """
    )


def _index(name: str, columns: list[str], where: str) -> None:
    op.create_index(f"ix_analyses_{name}", "analyses", columns, schema="karyo", postgresql_where=sa.text(where))


def downgrade() -> None:
    """Drop queues and lanes."""
    op.drop_column("schedules", "problem", schema="karyo")
    op.execute("ALTER TABLE karyo.analyses RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold)")
    for name in ("ready", "deferred", "queued", "done", "finished"):
        op.drop_index(f"ix_analyses_{name}", "analyses", schema="karyo")
    for column in ("not_before", "round", "lane_id"):
        op.drop_column("analyses", column, schema="karyo")
    op.drop_table("lanes", schema="karyo")
    op.drop_table("queues", schema="karyo")
    _index("queued", ["queued_at"], "state = 'queued'")
    _index("pending", ["priority", "id"], "state = 'pending'")
