"""Alembic's door to our connection. There is no `alembic.ini`: `glaas.schema` calls Alembic."""

from alembic import context

from glaas.models import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata,
                  render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
