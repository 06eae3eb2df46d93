"""From a job's evidence to its record: analyse, then write everything in one transaction."""

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from roar.analyze.digest import identity
from roar.analyze.job import Analysis, Surroundings, analyze
from roar.config import Settings
from roar.model import Git, Job, JobState, Tracer
from roar.observe.code import addition_patch, untracked
from roar.observe.log import load_trace
from roar.observe.pending import Pending
from roar.observe.trace import Trace
from roar.record import digests
from roar.record.database import open_database
from roar.record.writer import write_job
from roar.workspace import Workspace

INTERRUPTING = frozenset({1, 2, 3, 9, 15})  # HUP, INT, QUIT, KILL, TERM


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A job that has been written, with what a person may want to hear about it."""

    job: Job
    analysis: Analysis
    recording_s: float
