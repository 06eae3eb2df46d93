"""By when inputs certainly lay where they were read, as they were read."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column. Of what was registered before it is not known."""
    op.add_column("file_use", sa.Column("unchanged_since", sa.String(27), nullable=True))
