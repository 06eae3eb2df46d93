"""The words under which a job is found, by job: they are replaced whenever it is registered."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the index."""
    op.create_index(op.f("ix_term_job_id"), "term", ["job_id"])
