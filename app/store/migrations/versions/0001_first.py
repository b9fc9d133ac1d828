"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLES = (
    "changes", "tokens", "registered_models", "calibrations", "history", "shares", "events",
    "sweep_jobs", "sweep_parts",
)  # fmt: skip


def upgrade() -> None:
    """Make the tables."""
    _shared_by_all()
    _of_owners()
    _sweeps()


def downgrade() -> None:
    """Drop them."""
    for name in reversed(_TABLES):
        op.drop_table(name)


def _shared_by_all() -> None:
    op.create_table(
        "changes",
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("topic", name="pk_changes"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("hash", sa.String(128), nullable=False),
        sa.Column("scopes", sa.String(200), nullable=False),
        sa.Column("label", sa.String(200), nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("expires", sa.Double),
        sa.Column("revoked", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("hash", name="uq_tokens_hash"),
    )
    op.create_table(
        "registered_models",
        sa.Column("place", sa.String(255), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("entry", sa.JSON, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("updated", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("place", name="pk_registered_models"),
    )
    op.create_table(
        "events",
        sa.Column("hour", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("timed", sa.BigInteger, nullable=False),
        sa.Column("duration", sa.Double, nullable=False),
        sa.Column("longest", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("hour", "event", "type", name="pk_events"),
    )


def _of_owners() -> None:
    op.create_table(
        "calibrations",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("owner", sa.String(100), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("coefficients", sa.JSON, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calibrations"),
        sa.UniqueConstraint("owner", "name", name="uq_calibrations_owner_name"),
    )
    op.create_table(
        "history",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("owner", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
        sa.Column("search", sa.String, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_history"),
    )
    op.create_index("ix_history_owner_id", "history", ["owner", "id"])
    op.create_index("ix_history_created", "history", ["created"])
    op.create_table(
        "shares",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("expires", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_shares"),
    )
    op.create_index("ix_shares_expires", "shares", ["expires"])


def _sweeps() -> None:
    op.create_table(
        "sweep_jobs",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(100), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("error", sa.String),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("finished", sa.Double),
        sa.Column("lease_until", sa.Double),
        sa.Column("runner", sa.String(100)),
        sa.PrimaryKeyConstraint("id", name="pk_sweep_jobs"),
    )
    op.create_index("ix_sweep_jobs_owner", "sweep_jobs", ["owner"])
    op.create_index("ix_sweep_jobs_state", "sweep_jobs", ["state"])
    op.create_table(
        "sweep_parts",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("index", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("points", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["sweep_jobs.id"], name="fk_sweep_parts_job_id_sweep_jobs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "index", name="pk_sweep_parts"),
    )
