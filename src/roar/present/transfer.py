"""What `roar get` and `roar put` say when they are done."""

from collections.abc import Sequence
from typing import Any

from roar.model import Job
from roar.present.closing import file_rows
from roar.present.text import count_text, duration_text, on_one_line
from roar.wire import size_text

_DONE = {"get": "fetched", "put": "sent"}


def render_transfer(job: Job, *, files: int, size: int, there: int) -> str:
    """The job in a few lines.

    Args:
        job: as recorded.
        files: how many were moved.
        size: their bytes.
        there: how many were there already.
    """
    verb = _DONE[job.kind]
    parts = []
    if files:
        parts.append(f"{verb} {count_text(files, 'file')}, {size_text(size)} in {duration_text(job.duration_s)}")
    if there:
        parts.append(f"{count_text(there, 'file')} there already")
    lines = [f"roar: recorded @{job.step} {job.uid[:8]} · {' · '.join(parts) or 'nothing moved'}",
             *(f"  {name:<5}  {text}" for name, text in file_rows(job))]
    return "\n".join(map(on_one_line, lines)) + "\n"


def transfer_shape(job: Job | None, files: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The answer of `--json`: the job's uid and step (null where it could not be recorded), and every file."""
    return {"job": job.uid if job else None, "step": job.step if job else None, "files": list(files)}
