"""The tables. One noun, one table; column types serve SQLite and PostgreSQL alike.

Digests and uids are stored as bytes (32 and 16), so an index entry is half as long and compares by memory order in
both databases. Times are RFC 3339 text of fixed width in UTC: they sort as they are. Texts that are searched by
prefix compare byte by byte (`COLLATE "C"` on PostgreSQL, SQLite's default).

`migrations/` holds the history of this file; a test says that both agree.
"""

from enum import IntEnum

import blake3
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BYTEWISE = Text().with_variant(Text(collation="C"), "postgresql")
SERIAL = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows itself only for INTEGER PRIMARY KEY
DIGEST = LargeBinary(32)
UID = LargeBinary(16)


class Role(IntEnum):
    """What a job did with a file. A payload was written into a tracker's own store: no output, but it links."""

    INPUT = 0
    OUTPUT = 1
    PAYLOAD = 2


def path_key(path: str) -> int:
    """What stands for a path in an index: paths may be longer than an index entry."""
    return int.from_bytes(blake3.blake3(path.encode()).digest(8), signed=True)


project = Table(
    "project", metadata,
    Column("id", SERIAL, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("visibility", String(10), nullable=False, comment="public, internal or private"),
    Column("created_at", String(27), nullable=False),
)

session = Table(
    "session", metadata,
    Column("uid", UID, primary_key=True),
    Column("project_id", ForeignKey("project.id"), nullable=False, index=True),
    Column("registered_at", String(27), nullable=False),
)

dag = Table(
    "dag", metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("session", ForeignKey("session.uid"), nullable=False, index=True),
    Column("body", DIGEST, nullable=False, unique=True, comment="digest of the request that registered it"),
    Column("client", Text, nullable=False),
    Column("wire_version", Integer, nullable=False),
    Column("registered_at", String(27), nullable=False, index=True),
    Column("registered_by", SERIAL, nullable=True),
    Column("jobs", Integer, nullable=False),
)

environment = Table(
    "environment", metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("body", JSON, nullable=False, comment="host and python of a job; many jobs share one"),
)

package = Table(
    "package", metadata,
    Column("name", BYTEWISE, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("environment", ForeignKey("environment.digest"), primary_key=True),
)

job = Table(
    "job", metadata,
    Column("id", SERIAL, primary_key=True),
    Column("uid", UID, nullable=False, unique=True),
    Column("session", ForeignKey("session.uid"), nullable=False, index=True),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("step", Integer, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("name", Text, nullable=True),
    Column("command", JSON, nullable=False),
    Column("cwd", Text, nullable=False),
    Column("started_at", String(27), nullable=False),
    Column("duration_s", Float, nullable=True),
    Column("exit_code", Integer, nullable=True),
    Column("state", String(20), nullable=False),
    Column("git", JSON(none_as_null=True), nullable=True),
    Column("environment", ForeignKey("environment.digest"), nullable=False, index=True),
    Column("tracer", JSON, nullable=False),
    Column("trackers", JSON, nullable=False),
    Column("content", DIGEST, nullable=False, comment="digest of what never changes once the job is over"),
    Column("inputs", Integer, nullable=False),
    Column("outputs", Integer, nullable=False),
    Index(None, "project_id", "id"),
)

dag_job = Table(
    "dag_job", metadata,
    Column("dag", ForeignKey("dag.digest"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False, index=True),
)

artifact = Table(
    "artifact", metadata,
    Column("digest", DIGEST, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("size", BigInteger, nullable=True),  # null where it was not told, or not by all alike
    Column("files", Integer, nullable=True),
)

file_use = Table(
    "file_use", metadata,
    Column("job_id", ForeignKey("job.id"), primary_key=True),
    Column("role", SmallInteger, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("path", Text, nullable=False),
    Column("path_key", BigInteger, nullable=False, comment="the first 8 bytes of the path's digest"),
    Column("file_name", BYTEWISE, nullable=False, comment="last component of path, cut"),
    Column("digest", DIGEST, nullable=True),
    Column("size", BigInteger, nullable=True),
    Column("kind", String(10), nullable=False),
    Column("files", Integer, nullable=True),
    Column("note", Text, nullable=True),
    Column("unchanged_since", String(27), nullable=True),
    Index(None, "digest", "role", "job_id"),
    Index(None, "file_name", "job_id"),
    Index(None, "path_key", "job_id"),
)

dataset_member = Table(
    "dataset_member", metadata,
    Column("dataset", DIGEST, primary_key=True),
    Column("position", Integer, primary_key=True, comment="by path"),
    Column("path", Text, nullable=False),
    Column("digest", DIGEST, nullable=False),
    Column("size", BigInteger, nullable=False),
    Index(None, "digest", "dataset"),
)

dataset_project = Table(
    "dataset_project", metadata,
    Column("dataset", DIGEST, primary_key=True),
    Column("project_id", ForeignKey("project.id"), primary_key=True),
    Column("sizes", JSON(none_as_null=True), nullable=True,
           comment="of the members by position, as told here; null where they are those of dataset_member"),
    comment="projects where the members of a dataset were told; who sees none of them knows its digest at most",
)

tracker_run = Table(
    "tracker_run", metadata,
    Column("id", SERIAL, primary_key=True),
    Column("job_id", ForeignKey("job.id"), nullable=False, index=True),
    Column("tracker", String(50), nullable=False),
    Column("label", Text, nullable=False),
    Column("run_id", BYTEWISE, nullable=False, index=True),
    Column("project", BYTEWISE, nullable=True),
    Column("entity", Text, nullable=True),
    Column("name", Text, nullable=True),
    Column("group", Text, nullable=True),
    Column("server", Text, nullable=True),
    Column("url", Text, nullable=True),
    Column("url_key", BYTEWISE, nullable=True, index=True, comment="the URL without scheme and trailing slash, cut"),
    Column("state", String(10), nullable=False),
    Column("how_to_view", Text, nullable=True),
    Column("evidence", Text, nullable=True),
    Column("note", Text, nullable=True),
    Index(None, "tracker", "id"),
    Index(None, "project", "id"),
    Index(None, "entity", "id"),
    Index(None, "state", "id"),
)

label = Table(
    "label", metadata,
    Column("job_id", ForeignKey("job.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

term = Table(
    "term", metadata,
    Column("term", BYTEWISE, primary_key=True),
    Column("job_id", ForeignKey("job.id"), primary_key=True, index=True),
    comment="words under which a job is found: command, name, labels, commit, branch, tracker run names",
)

user = Table(
    "user_account", metadata,
    Column("id", SERIAL, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("password", Text, nullable=True, comment="scrypt; null where only tokens are used"),
    Column("admin", Boolean, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", String(27), nullable=False),
)

member = Table(
    "project_member", metadata,
    Column("project_id", ForeignKey("project.id"), primary_key=True),
    Column("user_id", ForeignKey("user_account.id"), primary_key=True, index=True),
    Column("can_write", Boolean, nullable=False),
)

token = Table(
    "token", metadata,
    Column("id", SERIAL, primary_key=True),
    Column("user_id", ForeignKey("user_account.id"), nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("secret", DIGEST, nullable=False, unique=True, comment="digest of the token; the token itself is not kept"),
    Column("scope", String(10), nullable=False, comment="read or write"),
    Column("created_at", String(27), nullable=False),
    Column("expires_at", String(27), nullable=True),
    Column("revoked_at", String(27), nullable=True),
)

browser_session = Table(
    "browser_session", metadata,
    Column("secret", DIGEST, primary_key=True),
    Column("user_id", ForeignKey("user_account.id"), nullable=False, index=True),
    Column("expires_at", String(27), nullable=False),
)

device_login = Table(
    "device_login", metadata,
    Column("device", DIGEST, primary_key=True, comment="digest of the device code that the client polls with"),
    Column("user_code", String(20), nullable=False, unique=True),
    Column("user_id", ForeignKey("user_account.id"), nullable=True),
    Column("expires_at", String(27), nullable=False),
)

identity = Table(
    "identity", metadata,
    Column("issuer", BYTEWISE, primary_key=True, comment="of the OpenID provider"),
    Column("subject", BYTEWISE, primary_key=True, comment="what the provider calls the person, for ever"),
    Column("user_id", ForeignKey("user_account.id"), nullable=False, index=True),
    Column("linked_at", String(27), nullable=False),
)

sign_on_attempt = Table(
    "sign_on_attempt", metadata,
    Column("state", DIGEST, primary_key=True, comment="digest of what went to the provider and comes back"),
    Column("browser", DIGEST, nullable=False, comment="digest of what the browser keeps in a cookie"),
    Column("target", Text, nullable=False, comment="the page to show afterwards"),
    Column("user_id", ForeignKey("user_account.id"), nullable=True, comment="who wants to be linked; null to sign in"),
    Column("expires_at", String(27), nullable=False, index=True),
)

upload_part = Table(
    "upload_part", metadata,
    Column("owner", SERIAL, primary_key=True, autoincrement=False,
           comment="the user who sends it; 0 without accounts"),
    Column("digest", DIGEST, primary_key=True, comment="of the whole upload"),
    Column("position", BigInteger, primary_key=True, autoincrement=False, comment="of its first byte in the upload"),
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("expires_at", String(27), nullable=False, index=True),
)

audit = Table(
    "audit", metadata,
    Column("id", SERIAL, primary_key=True),
    Column("at", String(27), nullable=False, index=True),
    Column("user_id", SERIAL, nullable=True),
    Column("action", String(50), nullable=False),
    Column("subject", Text, nullable=False),
    Column("address", Text, nullable=True),
)
