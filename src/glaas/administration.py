"""The verbs of `glaas` for the one who runs the server: users, tokens, projects, audit log, health and backups."""

import argparse
import contextlib
import getpass
import os
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from glaas import accounts, identities, models
from glaas.access import create_project, remove_member, set_member
from glaas.db import open_engine, writing
from glaas.schema import prepare_database, schema_versions
from glaas.urls import issuer_flaw
from roar.errors import NotFoundError, RoarError, UsageError

VISIBILITIES = ("public", "internal", "private")
Verbs = Any  # argparse keeps the type of its sub-parsers to itself


def add_verbs(verbs: Verbs, database: argparse.ArgumentParser) -> None:
    """Add `user`, `token`, `project`, `audit`, `doctor` and `backup`."""
    _add_user_verbs(verbs.add_parser("user", help="people who may sign in"), database)
    _add_token_verbs(verbs.add_parser("token", help="API tokens"), database)
    _add_project_verbs(verbs.add_parser("project", help="projects, and who may see and write them"), database)
    log = verbs.add_parser("audit", parents=[database], help="the last lines of the audit log")
    log.add_argument("-n", "--number", type=int, default=50)
    log.set_defaults(call=_audit)
    verbs.add_parser("doctor", parents=[database], help="check the database and the installation").set_defaults(
        call=_doctor)
    backup = verbs.add_parser("backup", parents=[database], help="copy an SQLite database while it is in use")
    backup.add_argument("file", help="where to; must not exist")
    backup.set_defaults(call=_backup)


@contextlib.contextmanager
def _writing(arguments: argparse.Namespace) -> Iterator[Connection]:
    engine = open_engine(arguments.database)
    try:
        prepare_database(arguments.database)
        with writing(engine) as connection:
            yield connection
    except SQLAlchemyError as error:
        raise RoarError(f"The database cannot be used: {_first_line(error)}.", hint="glaas migrate") from error
    finally:
        engine.dispose()


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", error)).strip().partition("\n")[0].rstrip(".")


# ------------------------------------------------------------------------------------------------------ users


def _add_user_verbs(parser: argparse.ArgumentParser, database: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    add = verbs.add_parser("add", parents=[database], help="a new user; asks for the password")
    add.add_argument("name")
    add.add_argument("--admin", action="store_true", help="sees and writes everything")
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    add.add_argument("--no-password", action="store_true", help="for a program: only tokens")
    add.set_defaults(call=_user_add)
    change = verbs.add_parser("password", parents=[database], help="set another password; ends all browser sessions")
    change.add_argument("name")
    change.add_argument("--password-stdin", action="store_true")
    change.set_defaults(call=_user_password)
    for verb, active in (("disable", False), ("enable", True)):
        switch = verbs.add_parser(verb, parents=[database], help=f"{verb} a user and all their tokens")
        switch.add_argument("name")
        switch.set_defaults(call=_user_switch, active=active)
    for verb, admin in (("promote", True), ("demote", False)):
        switch = verbs.add_parser(verb, parents=[database], help=(
            "let a user see and write everything" if admin else "let a user see and write what others may, no more"))
        switch.add_argument("name")
        switch.set_defaults(call=_user_rank, admin=admin)
    link = verbs.add_parser("link", parents=[database], help="let someone sign in as a user by single sign-on")
    link.add_argument("name")
    link.add_argument("subject", help="what the provider calls the person (`sub`); a refused sign-in shows it")
    link.add_argument("--issuer", default=os.environ.get("GLAAS_OIDC_ISSUER"), metavar="URL",
                      help="of the provider (default: $GLAAS_OIDC_ISSUER)")
    link.set_defaults(call=_user_link)
    unlink = verbs.add_parser("unlink", parents=[database], help="let nobody sign in as a user by single sign-on")
    unlink.add_argument("name")
    unlink.set_defaults(call=_user_unlink)
    verbs.add_parser("list", parents=[database], help="all users").set_defaults(call=_user_list)


def _ask_password(arguments: argparse.Namespace) -> str:
    if arguments.password_stdin:
        return sys.stdin.readline().rstrip("\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)  # without a terminal it would be shown as it is typed
        try:
            first = getpass.getpass("Password: ")
            again = getpass.getpass("Again: ")
        except (getpass.GetPassWarning, EOFError) as error:
            raise UsageError("There is no terminal to ask for the password on.", hint="--password-stdin") from error
    if again != first:
        raise UsageError("The two passwords differ.")
    return first


def _user_add(arguments: argparse.Namespace) -> int:
    password = None if arguments.no_password else _ask_password(arguments)
    with _writing(arguments) as connection:
        accounts.add_user(connection, arguments.name, password, admin=arguments.admin)
    print(f"{arguments.name} may sign in." if password else f"{arguments.name} may use tokens.")
    return 0


def _user_password(arguments: argparse.Namespace) -> int:
    password = _ask_password(arguments)
    with _writing(arguments) as connection:
        accounts.set_password(connection, arguments.name, password)
    print(f"{arguments.name} has another password.")
    return 0


def _user_switch(arguments: argparse.Namespace) -> int:
    with _writing(arguments) as connection:
        accounts.set_active(connection, arguments.name, active=arguments.active)
    print(f"{arguments.name} {'may sign in again' if arguments.active else 'may do nothing any more'}.")
    return 0


def _user_rank(arguments: argparse.Namespace) -> int:
    with _writing(arguments) as connection:
        accounts.set_admin(connection, arguments.name, admin=arguments.admin)
    print(f"{arguments.name} is {'an administrator' if arguments.admin else 'no administrator'}.")
    return 0


def _user_link(arguments: argparse.Namespace) -> int:
    flaw = issuer_flaw(arguments.issuer) if arguments.issuer else "Which provider calls them that?"
    if flaw is not None:
        raise UsageError(flaw, hint="glaas user link NAME SUBJECT --issuer URL")
    with _writing(arguments) as connection:
        identities.link(connection, accounts.find_user_id(connection, arguments.name), arguments.issuer,
                        arguments.subject)
    print(f"{arguments.subject} of {arguments.issuer} signs in as {arguments.name}.")
    return 0


def _user_unlink(arguments: argparse.Namespace) -> int:
    with _writing(arguments) as connection:
        if not identities.unlink(connection, accounts.find_user_id(connection, arguments.name)):
            raise NotFoundError(f"Nobody signs in as {arguments.name} by single sign-on.")
    print(f"Nobody signs in as {arguments.name} by single sign-on any more.")
    return 0


def _user_list(arguments: argparse.Namespace) -> int:
    with _writing(arguments) as connection:
        for row in connection.execute(select(models.user).order_by(models.user.c.name)):
            words = [row.name, *(["admin"] if row.admin else []), *([] if row.active else ["disabled"])]
            print("  ".join(words))
    return 0


# ------------------------------------------------------------------------------------------------------ tokens


def _add_token_verbs(parser: argparse.ArgumentParser, database: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    add = verbs.add_parser("add", parents=[database], help="make a token and print it, this one time")
    add.add_argument("user")
    add.add_argument("--name", default="made by glaas token add", help="what it is for")
    add.add_argument("--scope", choices=("read", "write"), default="write")
    add.add_argument("--days", type=int, default=90, help="how long it lives; 0 for ever (default: 90)")
    add.set_defaults(call=_token_add)
    listing = verbs.add_parser("list", parents=[database], help="a user's tokens, without their secrets")
    listing.add_argument("user")
    listing.set_defaults(call=_token_list)
    revoke = verbs.add_parser("revoke", parents=[database], help="make a token worthless")
    revoke.add_argument("number", type=int)
    revoke.set_defaults(call=_token_revoke)


def _token_add(arguments: argparse.Namespace) -> int:
    with _writing(arguments) as connection:
        user_id = accounts.find_user_id(connection, arguments.user)
        print(accounts.add_token(connection, user_id, arguments.name, scope=arguments.scope,
                                 days=arguments.days or None))
    return 0


def _token_list(arguments: argparse.Namespace) -> int:
    with _writing(arguments) as connection:
        for token in accounts.tokens_of(connection, accounts.find_user_id(connection, arguments.user)):
            state = "revoked" if token.revoked_at else f"until {token.expires_at or 'revoked'}"
            print(f"{token.id}  {token.scope:5}  {state}  {token.name}")
    return 0


def _token_revoke(arguments: argparse.Namespace) -> int:
    with _writing(arguments) as connection:
        if not accounts.revoke_token(connection, arguments.number):
            raise NotFoundError(f"There is no token {arguments.number} in force.", hint="glaas token list USER")
    print(f"Token {arguments.number} is worthless.")
    return 0


# ---------------------------------------------------------------------------------------------------- projects


def _add_project_verbs(parser: argparse.ArgumentParser, database: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    add = verbs.add_parser("add", parents=[database], help="a new project, or another visibility for one")
    add.add_argument("name")
    add.add_argument("--visibility", choices=VISIBILITIES, default="private",
                     help="public: all see it; internal: all users see and write it; private: members only (default)")
    add.set_defaults(call=_project_add)
    member = verbs.add_parser("member", parents=[database], help="let a user see a project, or no more")
    member.add_argument("name")
    member.add_argument("user")
    right = member.add_mutually_exclusive_group()
    right.add_argument("--write", action="store_true", help="and register to it")
    right.add_argument("--remove", action="store_true", help="let them be no member any more")
    member.set_defaults(call=_project_member)
    verbs.add_parser("list", parents=[database], help="all projects").set_defaults(call=_project_list)


def _project_id(connection: Connection, name: str) -> int | None:
    found = connection.execute(select(models.project.c.id).where(models.project.c.name == name)).scalar()
    return None if found is None else int(found)


def _project_add(arguments: argparse.Namespace) -> int:
    if not 0 < len(arguments.name) <= 100 or not arguments.name.isprintable():  # noqa: PLR2004  width of the column
        raise UsageError("A project's name has 1 to 100 printable characters.")
    with _writing(arguments) as connection:
        project_id = _project_id(connection, arguments.name)
        if project_id is None:
            create_project(connection, arguments.name, arguments.visibility)
        else:
            connection.execute(models.project.update().where(models.project.c.id == project_id),
                               {"visibility": arguments.visibility})
        accounts.note(connection, "project set", f"{arguments.name} {arguments.visibility}")
    print(f"Project {arguments.name} is {arguments.visibility}.")
    return 0


def _project_member(arguments: argparse.Namespace) -> int:
    with _writing(arguments) as connection:
        project_id = _project_id(connection, arguments.name)
        if project_id is None:
            raise NotFoundError(f"There is no project {arguments.name}.", hint="glaas project list")
        user_id = accounts.find_user_id(connection, arguments.user)
        if arguments.remove:
            return _remove_member(connection, arguments, project_id, user_id)
        set_member(connection, project_id, user_id, can_write=arguments.write)
        right = "see and write" if arguments.write else "see"
        accounts.note(connection, "member set", f"{arguments.name} {arguments.user}: {right}")
    print(f"{arguments.user} may {right} {arguments.name}.")
    return 0


def _remove_member(connection: Connection, arguments: argparse.Namespace, project_id: int, user_id: int) -> int:
    if not remove_member(connection, project_id, user_id):
        raise NotFoundError(f"{arguments.user} is no member of {arguments.name}.")
    accounts.note(connection, "member removed", f"{arguments.name} {arguments.user}")
    print(f"{arguments.user} is no member of {arguments.name} any more.")
    return 0


def _project_list(arguments: argparse.Namespace) -> int:
    with _writing(arguments) as connection:
        for row in connection.execute(select(models.project).order_by(models.project.c.name)):
            print(f"{row.name}  {row.visibility}")
    return 0


# ---------------------------------------------------------------------------------------------------- operation


def _audit(arguments: argparse.Namespace) -> int:
    audit, user = models.audit, models.user
    query = (select(audit, user.c.name).select_from(audit).join(user, user.c.id == audit.c.user_id, isouter=True)
             .order_by(audit.c.id.desc()).limit(arguments.number))
    with _writing(arguments) as connection:
        for row in reversed(connection.execute(query).all()):
            words = (row.at, row.name or "-", row.action, ascii(row.subject)[1:-1], row.address or "")
            print("  ".join(words).rstrip())
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    """Print what is right and what is not; 1 where something is not."""
    engine = open_engine(arguments.database)
    file = engine.url.database
    if engine.dialect.name == "sqlite" and file and file != ":memory:" and not os.path.exists(file):
        raise NotFoundError(f"There is no database {file}.", hint="glaas serve makes it, and so does glaas migrate")
    try:
        have, need = schema_versions(engine)
        print(f"database  {engine.url.render_as_string(hide_password=True)}")
        print(f"schema    {have or 'none'}{'' if have == need else f', and this glaas needs {need}: glaas migrate'}")
        if have != need:
            return 1
        with engine.connect() as connection:
            for table in (models.session, models.dag, models.job, models.artifact, models.tracker_run, models.user):
                count = connection.execute(select(func.count()).select_from(table)).scalar_one()
                print(f"{table.name:12}  {count:,}")
            if engine.dialect.name == "sqlite":
                verdict = connection.exec_driver_sql("PRAGMA quick_check").scalar_one()
                print(f"file      {verdict}")
                return int(verdict != "ok")
    except SQLAlchemyError as error:
        raise RoarError(f"The database cannot be used: {_first_line(error)}.") from error
    finally:
        engine.dispose()
    return 0


def _backup(arguments: argparse.Namespace) -> int:
    """SQLite's own online backup, to a new file that appears only when it is complete."""
    url = open_engine(arguments.database).url
    if url.get_backend_name() != "sqlite" or not url.database:
        raise UsageError("glaas backup copies SQLite databases; PostgreSQL has its own tool.",
                         hint="pg_dump --format=custom DATABASE > FILE")
    if os.path.exists(arguments.file):
        raise UsageError(f"{arguments.file} exists; a backup is not written over anything.")
    if not os.path.exists(url.database):
        raise NotFoundError(f"There is no database {url.database}.")
    folder = os.path.dirname(os.path.abspath(arguments.file))
    if not os.path.isdir(folder):
        raise NotFoundError(f"There is no folder {folder} to write the backup to.")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".glaas-backup-") as scratch:
        copy = os.path.join(scratch, "copy.db")
        try:
            with contextlib.closing(sqlite3.connect(url.database)) as source, contextlib.closing(
                    sqlite3.connect(copy)) as target:
                source.backup(target)
        except sqlite3.Error as error:
            raise RoarError(f"The database {url.database} cannot be copied: {_first_line(error)}.",
                            hint="glaas doctor --database URL") from error
        os.chmod(copy, 0o600)
        os.replace(copy, arguments.file)
    print(f"{arguments.file}: {os.path.getsize(arguments.file):,} bytes")
    return 0
