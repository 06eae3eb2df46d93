"""Large registrations that arrive in parts."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table of parts."""
    op.create_table(
        "upload_part",
        sa.Column("owner", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False,
                  comment="the user who sends it; 0 without accounts"),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False, comment="of the whole upload"),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False,
                  comment="of its first byte in the upload"),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("owner", "digest", "position", name=op.f("pk_upload_part")),
    )
    op.create_index(op.f("ix_upload_part_expires_at"), "upload_part", ["expires_at"], unique=False)
