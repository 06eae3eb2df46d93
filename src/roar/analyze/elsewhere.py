"""Programs that have another one do the work, which is no child of theirs: a daemon, another machine, a queue.

What is done there is not observed; where Docker's daemon or a scheduler runs `roar run` itself, it is.
"""

import os
import re
from collections.abc import Iterable, Sequence

from roar.observe.trace import Process

ELSEWHERE = " started elsewhere"
"""Ends the gap of a job."""
_CONTAINERS = frozenset({"run", "exec", "start", "create", "build", "compose"})
_STARTERS: dict[str, frozenset[str] | None] = {
    "docker": _CONTAINERS, "nerdctl": _CONTAINERS, "docker-compose": frozenset({"run", "exec", "up", "start"}),
    "kubectl": frozenset({"run", "exec", "apply", "create"}), "srun": None, "sbatch": None, "salloc": None,
    "qsub": None, "bsub": None, "condor_submit": None, "condor_submit_dag": None, "systemd-run": None, "at": None,
    "batch": None, "ssh": None, "rsh": None, "pdsh": None, "aws": frozenset({"submit-job"}),
    "flux": frozenset({"run", "submit", "batch", "alloc"}),
    "ray": frozenset({"job", "submit", "exec"}), "sky": frozenset({"launch", "exec", "jobs"}),
    "modal": frozenset({"run", "deploy"})}
"""By name the subcommands that start something; None for any use (`bsub < script`) but questions."""
_STARTS_NOTHING = frozenset({"rm", "ps", "ls", "logs", "images", "pull", "push", "inspect", "stop", "kill", "cp",
                             "get", "describe", "delete", "config", "status", "list", "top", "version", "help"})
_FIRST = 6  # so many words may be values of options before the subcommand
_QUESTIONS = frozenset({"--version", "-V", "--help", "-h", "--usage"})
_INTERPRETER = re.compile(r"(?:python|pypy|perl|ruby|node|[a-z]*sh)[\d.]*$")
_CARRIERS = ("git", "rsync", "scp", "sftp", "sshfs", "hg", "svn")
"""What uses ssh to move files: what these read and write here is observed."""


def find_started_elsewhere(processes: Iterable[Process]) -> tuple[str, ...]:
    """The names of programs of a job by which something was started that is not observed."""
    by_pid = {process.pid: process for process in processes}
    found: dict[str, None] = {}
    for process in by_pid.values():
        name, arguments = _called(process.argv)
        if name not in _STARTERS or not _starts(arguments, _STARTERS[name]):
            continue
        parent = by_pid.get(process.ppid)
        if name != "ssh" or parent is None or not os.path.basename(parent.executable).startswith(_CARRIERS):
            found[name] = None
    return tuple(sorted(found))


def _called(argv: Sequence[str]) -> tuple[str, Sequence[str]]:
    """What a command line calls, and its arguments; of a script, which an interpreter runs, that."""
    is_script = bool(argv) and _INTERPRETER.match(os.path.basename(argv[0])) is not None
    for at, word in enumerate(argv[:2 if is_script else 1]):
        if os.path.basename(word) in _STARTERS:
            return os.path.basename(word), argv[at + 1:]
    return "", ()


def _starts(arguments: Sequence[str], subcommands: frozenset[str] | None) -> bool:
    words = [word for word in arguments if not word.startswith("-")]
    if subcommands is None:
        return bool(words) or _QUESTIONS.isdisjoint(arguments)
    return bool(words) and words[0] not in _STARTS_NOTHING and not subcommands.isdisjoint(words[:_FIRST])
