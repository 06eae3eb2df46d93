"""Tracker runs by state: without it, a rare state among millions of runs is looked for in all of them."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the index."""
    op.create_index(op.f("ix_tracker_run_state_id"), "tracker_run", ["state", "id"])
