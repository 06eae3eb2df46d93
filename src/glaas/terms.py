"""The words under which a job is found."""

import re
from collections.abc import Iterator

from roar.wire import Job

LONGEST_TERM = 100
_WORD = re.compile(r"[^\s,;:=/\\\"'()\[\]{}<>|]+")


def iter_terms(job: Job) -> Iterator[str]:
    """The lower-case words under which a job is found, besides its files, packages and trackers' addresses."""
    texts = [*job.command, job.name or "", *job.labels.values()]
    texts += [f"{key}={value}" for key, value in job.labels.items()]
    if job.git is not None:
        texts += [job.git.commit or "", job.git.branch or "", job.git.worktree or ""]
        texts += [text for inner in job.git.repositories for text in (inner.path, inner.commit or "")]
    for run in job.tracker_runs:
        texts += [run.name or "", run.project or "", run.entity or "", run.group or ""]
    for text in texts:
        whole = text.strip().lower()
        if whole and len(whole) <= LONGEST_TERM:
            yield whole
        for word in _WORD.findall(whole[:10 * LONGEST_TERM]):
            if len(word) <= LONGEST_TERM:
                yield word.lstrip("-") or word


