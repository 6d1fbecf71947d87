"""Create the tables of jobs, clusters and participants of release 0.1.0.

Databases of that release have no revision; their tables are not changed.
"""

from alembic import op
from sqlalchemy import BigInteger, Column, Float, Integer, LargeBinary, String, Text

revision = "format_1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the missing tables."""
    op.create_table(
        "greenup_jobs",
        Column("token", String(32), primary_key=True),
        Column("scope", Text, nullable=False),
        Column("owner", Text, nullable=False),
        Column("title", Text, nullable=False),
        Column("about", Text, nullable=False),
        Column("engine", Text, nullable=False),
        Column("cluster", Text, nullable=False),
        Column("cluster_name", Text, nullable=False),
        Column("checkpoint", Text, nullable=False),
        Column("state", String(16), nullable=False),
        Column("message", Text, nullable=False),
        Column("done", Integer, nullable=False),
        Column("total", Integer, nullable=False),
        Column("created", Float(53), nullable=False),
        Column("started", Float(53)),
        Column("ended", Float(53)),
        Column("opened", Float(53), nullable=False),
        Column("changed", Float(53), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("wanted", String(16), nullable=False),
        Column("holder", String(32), nullable=False),
        Column("lease_end", Float(53)),
        Column("recipe", Text, nullable=False),
        Column("plan", LargeBinary, nullable=False),
        Column("failed_scenes", Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "greenup_clusters",
        Column("name", String(64), primary_key=True),
        Column("cluster", Text, nullable=False),
        Column("holder", String(32), nullable=False),
        Column("lease_end", Float(53)),
        if_not_exists=True,
    )
    op.create_table(
        "greenup_participants",
        Column("token", String(32), primary_key=True),
        Column("participant", String(32), primary_key=True),
        if_not_exists=True,
    )
