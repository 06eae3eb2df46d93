"""Tracker runs by entity, the newest first. What no index could hold of an entity's name is cut first."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_LONGEST = 255


def upgrade() -> None:
    """Cut names that are longer than those that are taken now, and make the index."""
    entity = sa.column("entity", sa.Text())
    op.execute(sa.update(sa.table("tracker_run", entity)).where(sa.func.length(entity) > _LONGEST).values(
        entity=sa.func.substr(entity, 1, _LONGEST)))
    op.create_index(op.f("ix_tracker_run_entity_id"), "tracker_run", ["entity", "id"])
