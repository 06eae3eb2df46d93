"""What tests ask the databases themselves."""

import time

import psycopg

from glaas.db import open_engine


def run_sql(server, statement):
    """A database is not copied while anything, such as the server's own housekeeping, is connected to it."""
    for pause_s in (0.5, 2, 5, None):
        try:
            with psycopg.connect(server.get_uri("postgres"), autocommit=True) as connection:
                connection.execute(statement)
                return
        except psycopg.OperationalError:
            if pause_s is None:
                raise
            time.sleep(pause_s)


def plan_of(url, query):
    """How a database would answer a query, as it says itself, where it has indexes to go by."""
    engine = open_engine(url)
    compiled = query.compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}").all())
        else:
            connection.exec_driver_sql("SET enable_seqscan = off")
            connection.exec_driver_sql("SET enable_bitmapscan = off")
            plan = str(connection.exec_driver_sql(f"EXPLAIN {compiled}").all())
    engine.dispose()
    return plan
