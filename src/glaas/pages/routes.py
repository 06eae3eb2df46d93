"""The pages' addresses."""

import dataclasses
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import RedirectResponse

from glaas import catalog, others
from glaas.compare import compare
from glaas.drawing import draw
from glaas.errors import not_found
from glaas.graph import dag_graph, lineage, uses_by_way
from glaas.makers import EMPTY
from glaas.models import Role
from glaas.pages.rendering import render
from glaas.search import Found, search, similar_jobs
from glaas.state import (
    Reading,
    ViewerNow,
    cursor_or_422,
    digest_or_404,
    find_job_by_prefix,
    job_by_prefix,
    position_or_422,
    reads,
    uid_or_404,
)
from roar.wire import TrackerRunState

FILES_SHOWN = 50
FILES_PAGE = 200
CHOICES = 20
LINEAGE_DEPTH = 4
JOBS_DRAWN = 20  # in each direction

router = APIRouter(include_in_schema=False)
Cursor = Annotated[str | None, Query(max_length=200)]
Text = Annotated[str, Query(max_length=4000)]


@router.get("/")
@reads
def home(request: Request, viewer: ViewerNow, connection: Reading, cursor: Cursor = None) -> Response:
    """Recent jobs, and the search box."""
    jobs = catalog.recent_jobs(connection, viewer, before=cursor_or_422(cursor), limit=30)
    return render(request, "home.html", jobs=jobs, first=cursor is None,
                  dags=catalog.recent_sessions(connection, viewer, limit=6) if cursor is None else (),
                  next=jobs[-1].key if len(jobs) == 30 else None)  # noqa: PLR2004


@router.get("/jobs/{uid}")
@reads
def job_page(request: Request, uid: str, viewer: ViewerNow, connection: Reading) -> Response:
    """One job: its tracker runs first, then the command, files, code and environment."""
    stored = catalog.find_job(connection, viewer, uid_or_404(uid), files=FILES_SHOWN)
    if stored is None:
        raise not_found(f"job {uid}")
    makers = others.makers_of(connection, viewer, stored.job.inputs, stored)
    users = others.users_of(connection, viewer, stored.job.outputs, stored)
    order = list(TrackerRunState)
    return render(request, "job.html", stored=stored, job=stored.job, makers=makers, users=users,
                  before=catalog.find_run_before(connection, viewer, stored),
                  runs=sorted(stored.job.tracker_runs, key=lambda run: order.index(run.state)))


@router.get("/jobs/{uid}/{role}")
@reads
def job_files(request: Request, uid: str, role: str, *, viewer: ViewerNow, connection: Reading,
              cursor: Cursor = None) -> Response:
    """All inputs or outputs of a job, page by page."""
    stored = catalog.find_job(connection, viewer, uid_or_404(uid), files=0)
    if stored is None or role not in {"inputs", "outputs"}:
        raise not_found(f"such page of job {uid}")
    after = position_or_422(cursor)
    start = -1 if after is None else after
    reading = role == "inputs"
    uses, beside = others.uses_and_others(connection, viewer, stored, reading=reading, after=start,
                                           limit=FILES_PAGE)
    total = stored.inputs if reading else stored.outputs
    return render(request, "files.html", stored=stored, job=stored.job, role=role, uses=uses, start=start, total=total,
                  others=beside, next=start + FILES_PAGE if start + 1 + len(uses) < total else None)


@router.get("/compare")
@reads
def compare_page(request: Request, viewer: ViewerNow, connection: Reading, a: Text = "", b: Text = "") -> Response:
    """Two jobs side by side; of one alone, or with words instead of the other, jobs to choose the other from."""
    one = job_by_prefix(connection, viewer, a) if a.strip() else None
    other = find_job_by_prefix(connection, viewer, b)
    found = compare(one.job, other.job) if one and other else None
    choices: tuple[catalog.JobLine, ...] = ()
    if one and not other:
        choices = (tuple(line for line in search(connection, viewer, b, limit=CHOICES).jobs if line.key != one.key)
                   if b.strip() else similar_jobs(connection, viewer, one, limit=CHOICES))
    return render(request, "compare.html", a=one, b=other, found=found, choices=choices, shown=FILES_PAGE,
                  wanted=b.strip().replace("\0", ""))


@router.get("/artifacts/{digest}")
@reads
def artifact_page(request: Request, digest: str, *, viewer: ViewerNow, connection: Reading, within: Text = "",
                  folder: Text = "", cursor: Cursor = None) -> Response:
    """One artifact: where it came from, what it went into, every name it was seen under, and a dataset's files."""
    graph = lineage(connection, viewer, digest_or_404(digest, "artifact"), depth=LINEAGE_DEPTH, most_jobs=JOBS_DRAWN,
                    labelled=False)
    artifact = catalog.find_artifact(connection, viewer, digest, known=graph.jobs)
    if artifact is None:
        raise not_found(f"artifact {digest}")
    within, folder = within.replace("\0", ""), folder.replace("\0", "")
    members, onward = _members(connection, viewer, digest, folder=folder, within=within,
                               cursor=position_or_422(cursor))
    root = bytes.fromhex(digest)
    drawing = draw(graph, fold_reruns=False, root=root) if graph.jobs else None
    made_so, used_so = uses_by_way(graph, root)
    return render(request, "artifact.html", artifact=artifact, members=members, within=within, folder=folder,
                  above=folder_steps(folder), drawing=drawing, made_so=made_so, used_so=used_so,
                  truncated=graph.truncated, depth=LINEAGE_DEPTH, role=Role, most=catalog.USES_SHOWN,
                  made=root != EMPTY and bool(artifact.produced_by or made_so), nothing=root == EMPTY,
                  next=onward)


def _members(connection: Reading, viewer: ViewerNow, digest: str, *, folder: str, within: str, cursor: int | None
             ) -> tuple[tuple[catalog.MemberFolder | catalog.Member, ...], int | None]:
    """A page of a dataset: one folder of it, or all files below that hold a text in their path; and where to go on."""
    if not within:
        return catalog.dataset_folder(connection, viewer, digest, folder, start=cursor, limit=FILES_PAGE)
    found = catalog.dataset_members(connection, viewer, digest, after=-1 if cursor is None else cursor, folder=folder,
                                    within=within, limit=FILES_PAGE)
    return found, found[-1].position if len(found) == FILES_PAGE else None


def folder_steps(folder: str) -> list[tuple[str, str]]:
    """Name and path of each folder that leads to `folder`, itself included: (`a`, `a/`), (`b`, `a/b/`)."""
    names = folder.rstrip("/").split("/") if folder else []
    return [(name, "/".join(names[:index + 1]) + "/") for index, name in enumerate(names)]


@router.get("/dag/{dag}")
@reads
def dag_page(request: Request, dag: str, *, viewer: ViewerNow, connection: Reading, reruns: Text = "",
             cursor: Cursor = None) -> Response:
    """A registered session, drawn, and its jobs page by page."""
    line = catalog.find_dag(connection, viewer, digest_or_404(dag, "session"))
    if line is None:
        raise not_found(f"session {dag}")
    graph = dag_graph(connection, viewer, dag)
    drawing = draw(graph, fold_reruns=reruns != "all")
    registrations = catalog.session_dags(connection, viewer, line.session)
    return render(request, "dag.html", dag=line, graph=graph, drawing=drawing, unfolded=reruns == "all",
                  start=position_or_422(cursor) or 0, shown=FILES_PAGE, registrations=registrations,
                  whole=catalog.whole(registrations))


@router.get("/tracker-runs")
@reads
def tracker_runs_page(request: Request, *, viewer: ViewerNow, connection: Reading, tracker: Text = "",
                      project: Text = "", entity: Text = "", state: Text = "", cursor: Cursor = None) -> Response:
    """Every tracker run known here, with the job that made it."""
    given = {key: value.strip().replace("\0", "") or None for key, value in
             (("tracker", tracker), ("project", project), ("entity", entity), ("state", state))}
    wanted = catalog.TrackerRunFilter(**given)
    lines = catalog.tracker_run_lines(connection, viewer, wanted, before=cursor_or_422(cursor), limit=50)
    return render(request, "tracker_runs.html", lines=lines, wanted=wanted,
                  choices=catalog.tracker_choices(connection, viewer),
                  given={key: value for key, value in dataclasses.asdict(wanted).items() if value},
                  next=lines[-1].key if len(lines) == 50 else None)  # noqa: PLR2004


@router.get("/search")
@reads
def search_page(request: Request, viewer: ViewerNow, connection: Reading, q: Text = "") -> Response:
    """What was found; a search that finds one thing leads there."""
    found = search(connection, viewer, q, limit=50)
    target = _only_target(found)
    if target is not None:
        return RedirectResponse(target, 303)
    return render(request, "search.html", found=found, query=found.query)


def _only_target(found: Found) -> str | None:
    """The page of the one thing found, or of the one job that all found tracker runs belong to."""
    jobs = {line.job.uid for line in found.tracker_runs} if found.exact else set()
    jobs |= {line.uid for line in found.jobs}
    targets = [f"/jobs/{uid}" for uid in jobs] + [f"/artifacts/{hit.digest}" for hit in found.artifacts]
    targets += [f"/dag/{digest}" for digest in found.dags]
    if len(targets) != 1 or not (found.exact or not found.tracker_runs):
        return None
    return targets[0]
