"""People known by an OpenID provider, and sign-ins under way."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the two tables of single sign-on."""
    op.create_table(
        "identity",
        sa.Column("issuer", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False,
                  comment="of the OpenID provider"),
        sa.Column("subject", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False,
                  comment="what the provider calls the person, for ever"),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("linked_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_identity_user_id_user_account")),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_identity")),
    )
    op.create_index(op.f("ix_identity_user_id"), "identity", ["user_id"], unique=False)
    op.create_table(
        "sign_on_attempt",
        sa.Column("state", sa.LargeBinary(length=32), nullable=False,
                  comment="digest of what went to the provider and comes back"),
        sa.Column("browser", sa.LargeBinary(length=32), nullable=False,
                  comment="digest of what the browser keeps in a cookie"),
        sa.Column("target", sa.Text(), nullable=False, comment="the page to show afterwards"),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True,
                  comment="who wants to be linked; null to sign in"),
        sa.Column("expires_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"],
                                name=op.f("fk_sign_on_attempt_user_id_user_account")),
        sa.PrimaryKeyConstraint("state", name=op.f("pk_sign_on_attempt")),
    )
    op.create_index(op.f("ix_sign_on_attempt_expires_at"), "sign_on_attempt", ["expires_at"], unique=False)
