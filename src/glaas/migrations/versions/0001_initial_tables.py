"""The first tables, and the project that sessions join when none is named."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:  # noqa: PLR0915  one statement for each table and index
    """Make the tables of the first version."""
    op.create_table(
        "artifact",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("files", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_artifact")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.String(length=27), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("action", sa.String(length=50), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_at"), ["at"], unique=False)

    op.create_table(
        "dataset_member",
        sa.Column("dataset", sa.LargeBinary(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, comment="by path"),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "position", name=op.f("pk_dataset_member")),
    )
    with op.batch_alter_table("dataset_member", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dataset_member_digest_dataset"), ["digest", "dataset"], unique=False)

    op.create_table(
        "environment",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False, comment="host and python of a job; many jobs share one"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_environment")),
    )
    op.create_table(
        "project",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("visibility", sa.String(length=10), nullable=False, comment="public, internal or private"),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("name", name=op.f("uq_project_name")),
    )
    op.create_table(
        "user_account",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("password", sa.Text(), nullable=True, comment="scrypt; null where only tokens are used"),
        sa.Column("admin", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("name", name=op.f("uq_user_account_name")),
    )
    op.create_table(
        "browser_session",
        sa.Column("secret", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("expires_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_browser_session_user_id_user_account")
        ),
        sa.PrimaryKeyConstraint("secret", name=op.f("pk_browser_session")),
    )
    with op.batch_alter_table("browser_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_browser_session_user_id"), ["user_id"], unique=False)

    op.create_table(
        "device_login",
        sa.Column(
            "device",
            sa.LargeBinary(length=32),
            nullable=False,
            comment="digest of the device code that the client polls with",
        ),
        sa.Column("user_code", sa.String(length=20), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("expires_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_device_login_user_id_user_account")),
        sa.PrimaryKeyConstraint("device", name=op.f("pk_device_login")),
        sa.UniqueConstraint("user_code", name=op.f("uq_device_login_user_code")),
    )
    op.create_table(
        "package",
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("environment", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment"], ["environment.digest"], name=op.f("fk_package_environment_environment")
        ),
        sa.PrimaryKeyConstraint("name", "version", "environment", name=op.f("pk_package")),
    )
    op.create_table(
        "project_member",
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("can_write", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_project_member_project_id_project")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_project_member_user_id_user_account")),
        sa.PrimaryKeyConstraint("project_id", "user_id", name=op.f("pk_project_member")),
    )
    with op.batch_alter_table("project_member", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_project_member_user_id"), ["user_id"], unique=False)

    op.create_table(
        "session",
        sa.Column("uid", sa.LargeBinary(length=16), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("registered_at", sa.String(length=27), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_session_project_id_project")),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_session")),
    )
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_session_project_id"), ["project_id"], unique=False)

    op.create_table(
        "token",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column(
            "secret",
            sa.LargeBinary(length=32),
            nullable=False,
            comment="digest of the token; the token itself is not kept",
        ),
        sa.Column("scope", sa.String(length=10), nullable=False, comment="read or write"),
        sa.Column("created_at", sa.String(length=27), nullable=False),
        sa.Column("expires_at", sa.String(length=27), nullable=True),
        sa.Column("revoked_at", sa.String(length=27), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_token_user_id_user_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("secret", name=op.f("uq_token_secret")),
    )
    with op.batch_alter_table("token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_token_user_id"), ["user_id"], unique=False)

    op.create_table(
        "dag",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("session", sa.LargeBinary(length=16), nullable=False),
        sa.Column(
            "body", sa.LargeBinary(length=32), nullable=False, comment="digest of the request that registered it"
        ),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("wire_version", sa.Integer(), nullable=False),
        sa.Column("registered_at", sa.String(length=27), nullable=False),
        sa.Column("registered_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["session"], ["session.uid"], name=op.f("fk_dag_session_session")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_dag")),
        sa.UniqueConstraint("body", name=op.f("uq_dag_body")),
    )
    with op.batch_alter_table("dag", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dag_registered_at"), ["registered_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_dag_session"), ["session"], unique=False)

    op.create_table(
        "job",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("uid", sa.LargeBinary(length=16), nullable=False),
        sa.Column("session", sa.LargeBinary(length=16), nullable=False),
        sa.Column("project_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("command", sa.JSON(), nullable=False),
        sa.Column("cwd", sa.Text(), nullable=False),
        sa.Column("started_at", sa.String(length=27), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("git", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("environment", sa.LargeBinary(length=32), nullable=False),
        sa.Column("tracer", sa.JSON(), nullable=False),
        sa.Column("trackers", sa.JSON(), nullable=False),
        sa.Column(
            "content",
            sa.LargeBinary(length=32),
            nullable=False,
            comment="digest of what never changes once the job is over",
        ),
        sa.Column("inputs", sa.Integer(), nullable=False),
        sa.Column("outputs", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["environment"], ["environment.digest"], name=op.f("fk_job_environment_environment")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_job_project_id_project")),
        sa.ForeignKeyConstraint(["session"], ["session.uid"], name=op.f("fk_job_session_session")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sa.UniqueConstraint("uid", name=op.f("uq_job_uid")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_environment"), ["environment"], unique=False)
        batch_op.create_index(batch_op.f("ix_job_project_id_id"), ["project_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_job_session"), ["session"], unique=False)

    op.create_table(
        "dag_job",
        sa.Column("dag", sa.LargeBinary(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["dag"], ["dag.digest"], name=op.f("fk_dag_job_dag_dag")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_dag_job_job_id_job")),
        sa.PrimaryKeyConstraint("dag", "position", name=op.f("pk_dag_job")),
    )
    with op.batch_alter_table("dag_job", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dag_job_job_id"), ["job_id"], unique=False)

    op.create_table(
        "file_use",
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("role", sa.SmallInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("path_key", sa.BigInteger(), nullable=False, comment="the first 8 bytes of the path's digest"),
        sa.Column(
            "file_name",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
            comment="last component of path, cut",
        ),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("files", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_file_use_job_id_job")),
        sa.PrimaryKeyConstraint("job_id", "role", "position", name=op.f("pk_file_use")),
    )
    with op.batch_alter_table("file_use", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_file_use_digest_role_job_id"), ["digest", "role", "job_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_file_use_file_name_job_id"), ["file_name", "job_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_file_use_path_key_job_id"), ["path_key", "job_id"], unique=False)

    op.create_table(
        "label",
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_label_job_id_job")),
        sa.PrimaryKeyConstraint("job_id", "key", name=op.f("pk_label")),
    )
    op.create_table(
        "term",
        sa.Column("term", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_term_job_id_job")),
        sa.PrimaryKeyConstraint("term", "job_id", name=op.f("pk_term")),
        comment="words under which a job is found: command, name, labels, commit, branch, tracker run names",
    )
    op.create_table(
        "tracker_run",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tracker", sa.String(length=50), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("project", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True),
        sa.Column("entity", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("group", sa.Text(), nullable=True),
        sa.Column("server", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column(
            "url_key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=True,
            comment="the URL without scheme and trailing slash, cut",
        ),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("how_to_view", sa.Text(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_tracker_run_job_id_job")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tracker_run")),
    )
    with op.batch_alter_table("tracker_run", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tracker_run_job_id"), ["job_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_tracker_run_project_id"), ["project", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_tracker_run_run_id"), ["run_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_tracker_run_tracker_id"), ["tracker", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_tracker_run_url_key"), ["url_key"], unique=False)

    op.bulk_insert(
        sa.table("project", sa.column("name"), sa.column("visibility"), sa.column("created_at")),
        [{"name": "default", "visibility": "internal", "created_at": "2026-11-22T00:00:00.000000Z"}],
    )
