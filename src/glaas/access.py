"""Who asks, and what they may see and write. Every access check is an SQL predicate.

A project is public (everyone sees it, members write), internal (every user sees and writes), or private (members see
it, and write where they may).
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, insert, or_, select, true

from glaas import models
from glaas.errors import ProblemError
from glaas.times import now

DEFAULT_PROJECT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who asks.

    Attributes:
        user_id: None for someone who has not said who they are.
        name: to show.
        admin: sees and writes everything.
        can_write: whether what they showed allows writing at all; a token may only read.
        everything: the server has no accounts, so all is open.
    """

    user_id: int | None = None
    name: str | None = None
    admin: bool = False
    can_write: bool = False
    everything: bool = False


ANYONE = Viewer()
OWNER = Viewer(can_write=True, everything=True)


def visible(viewer: Viewer, project_id: ColumnElement[int]) -> ColumnElement[bool]:
    """The predicate that a row of the project `project_id` may be seen by `viewer`."""
    if sees_everything(viewer):
        return true()
    project = models.project
    allowed = project.c.visibility == "public"
    if viewer.user_id is not None:
        mine = select(models.member.c.project_id).where(models.member.c.user_id == viewer.user_id)
        allowed = or_(project.c.visibility.in_(["public", "internal"]), project.c.id.in_(mine))
    return project_id.in_(select(project.c.id).where(allowed))


def sees_everything(viewer: Viewer) -> bool:
    """Whether no row of any project is hidden from `viewer`, so that queries need not ask for projects."""
    return viewer.everything or viewer.admin


def uses_seen_by(viewer: Viewer, query: Select[Any]) -> Select[Any]:
    """`query` over file uses, without those of jobs that `viewer` may not see."""
    if sees_everything(viewer):
        return query
    return query.join(models.job, models.job.c.id == models.file_use.c.job_id).where(
        visible(viewer, models.job.c.project_id))


def members_are_seen(viewer: Viewer, dataset: ColumnElement[Any]) -> ColumnElement[bool]:
    """A visible project told the members of the dataset. To know its digest, or to say one used it, opens none."""
    if sees_everything(viewer):
        return true()
    told = models.dataset_project
    return exists().where(told.c.dataset == dataset, visible(viewer, told.c.project_id))


def project_for_writing(connection: Connection, viewer: Viewer, *, name: str | None = None,
                        project_id: int | None = None) -> int:
    """The id of a project where `viewer` may write.

    Raises:
        ProblemError: 401 or 403 without permission, 404 where the viewer may not know of the project either.
    """
    project = models.project
    wanted = project.c.id == project_id if project_id is not None else project.c.name == (name or DEFAULT_PROJECT)
    require_writer(viewer)
    row = connection.execute(select(project.c.id, project.c.visibility).where(
        and_(wanted, visible(viewer, project.c.id)))).first()
    if row is None:
        if viewer.everything and name is not None:
            return create_project(connection, name, "internal")
        raise ProblemError(404, "There is no such project on this server.")
    if not (viewer.everything or viewer.admin or row.visibility == "internal"
            or _is_writer(connection, viewer, row.id)):
        raise ProblemError(403, "You may see this project but not write to it.")
    return int(row.id)


def require_writer(viewer: Viewer) -> None:
    """Refuse who may write nowhere.

    Raises:
        ProblemError: 401 for who does not say who they are, 403 for a token that may only read.
    """
    if not viewer.can_write:
        if viewer.user_id is None:
            raise ProblemError(401, "Registering needs an API token of this server.",
                               headers={"WWW-Authenticate": "Bearer"})
        raise ProblemError(403, "This token may only read.")


def _is_writer(connection: Connection, viewer: Viewer, project_id: int) -> bool:
    member = models.member
    return connection.execute(select(member.c.user_id).where(
        member.c.project_id == project_id, member.c.user_id == viewer.user_id, member.c.can_write)).first() is not None


def create_project(connection: Connection, name: str, visibility: str) -> int:
    """A new project; its number."""
    result = connection.execute(insert(models.project).returning(models.project.c.id),
                                {"name": name, "visibility": visibility, "created_at": now()})
    return int(result.scalar_one())


def set_member(connection: Connection, project_id: int, user_id: int, *, can_write: bool) -> None:
    """Let a user see a project, and write to it or not."""
    remove_member(connection, project_id, user_id)
    connection.execute(insert(models.member), {"project_id": project_id, "user_id": user_id, "can_write": can_write})


def remove_member(connection: Connection, project_id: int, user_id: int) -> bool:
    """Let a user see and write no more of a project than who is no member; whether they were one."""
    member = models.member
    return connection.execute(delete(member).where(
        member.c.project_id == project_id, member.c.user_id == user_id)).rowcount > 0
