"""Sizes of a dataset's members as a project told them, where another project had told others before."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column. Whoever told members before is taken to have told the sizes that are kept."""
    op.add_column("dataset_project", sa.Column(
        "sizes", sa.JSON(none_as_null=True), nullable=True,
        comment="of the members by position, as told here; null where they are those of dataset_member"))
