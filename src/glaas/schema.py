"""Bringing a database's schema up to date, by Alembic migrations inside this package."""

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from glaas.db import open_engine, writing
from roar.errors import SettingsError


def _config(connection: Connection | None, folder: str) -> Config:
    config = Config()
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def migrate(engine: Engine, version: str = "head") -> None:
    """Bring the schema up to a version, by default that of this glaas, in one transaction."""
    with as_file(files("glaas") / "migrations") as folder, writing(engine) as connection:
        command.upgrade(_config(connection, str(folder)), version)


def schema_versions(engine: Engine) -> tuple[str | None, str | None]:
    """The version that the database has (None: empty), and the one that this glaas needs."""
    with as_file(files("glaas") / "migrations") as folder, engine.connect() as connection:
        head = ScriptDirectory.from_config(_config(None, str(folder))).get_current_head()
        return MigrationContext.configure(connection).get_current_revision(), head


def prepare_database(url: str) -> None:
    """SQLite is brought up to date; another database is only changed by `glaas migrate`.

    Raises:
        SettingsError: the schema of a PostgreSQL database is not the one that this version needs.
    """
    engine = open_engine(url)
    try:
        if engine.dialect.name == "sqlite":
            migrate(engine)
            return
        have, need = schema_versions(engine)
        if have != need:
            raise SettingsError(f"The database's schema is at version {have}, and this glaas needs {need}.",
                                hint="glaas migrate --database URL")
    finally:
        engine.dispose()
