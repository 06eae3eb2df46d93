"""Jobs whose command still runs: the record knows nothing of them yet, only their evidence does."""

from collections.abc import Sequence
from dataclasses import dataclass

from roar.errors import NotFoundError
from roar.model import Job
from roar.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A job that runs or is being recorded just now.

    Attributes:
        job: what is known of it; its step is 0.
        pid: process id of the command; None where it is not known, or has ended.
    """

    job: Job
    pid: int | None


def load_running(workspace: Workspace) -> list[RunningJob]:
    """The jobs whose command still runs, the newest first."""
    if not workspace.pending_uids():
        return []
    from roar.observe.pending import find_running  # noqa: PLC0415  only where something runs
    from roar.record.evidence import running_job  # noqa: PLC0415

    return [RunningJob(job=running_job(workspace, pending), pid=pending.pid if pending.exit_code is None else None)
            for pending in reversed(find_running(workspace.pending))]


def find_running_job(jobs: Sequence[RunningJob], ref: str, shortest: int) -> RunningJob | None:
    """The running job whose uid is `ref` or starts with it, in at least `shortest` characters.

    Raises:
        NotFoundError: there is more than one; they are the candidates.
    """
    found = [running for running in jobs if len(ref) >= shortest and running.job.uid.startswith(ref.lower())]
    if len(found) > 1:
        raise NotFoundError(f"{ref!r} names more than one job that runs.", hint="roar log --status running",
                            candidates=tuple(f"job {running.job.uid[:12]}" for running in found))
    return found[0] if found else None
