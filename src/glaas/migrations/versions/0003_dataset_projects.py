"""Which projects told the members of a dataset, so that its digest alone opens none of them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table; whoever used a dataset before is taken to have told its members."""
    op.create_table(
        "dataset_project",
        sa.Column("dataset", sa.LargeBinary(length=32), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_dataset_project_project_id_project")),
        sa.PrimaryKeyConstraint("dataset", "project_id", name=op.f("pk_dataset_project")),
        comment="projects where the members of a dataset were told; who sees none of them knows its digest at most",
    )
    op.execute(
        "INSERT INTO dataset_project (dataset, project_id)"
        " SELECT DISTINCT m.dataset, j.project_id FROM dataset_member m"
        " JOIN file_use u ON u.digest = m.dataset JOIN job j ON j.id = u.job_id WHERE m.position = 0")
