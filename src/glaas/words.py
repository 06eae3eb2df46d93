"""Numbers and times in words for people."""

import shlex
from datetime import datetime

from roar.shell import quoted
from roar.wire import Kind, members_folder

LAUNCHERS = frozenset({
    "accelerate", "bash", "deepspeed", "env", "julia", "mpirun", "nice", "node", "nohup", "perl", "poetry", "Rscript",
    "ruby", "sh", "srun", "time", "torchrun", "uv", "zsh"})
_LINES = str.maketrans("", "", "\n\t")
SCRIPTS = (".ipynb", ".jl", ".js", ".pl", ".py", ".R", ".r", ".rb", ".sh")


def duration_text(seconds: float | None) -> str:
    """Seconds in words: `12.3 s`, `4 min 05 s`, `2 h 03 min`."""
    if seconds is None:
        return "unknown"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:  # noqa: PLR2004
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24} h"


def time_text(time: str) -> str:
    """A stored time to the second: `22 Nov 2026, 10:00:00 UTC`."""
    when = datetime.fromisoformat(time)
    return f"{when.day} {when:%b %Y, %H:%M:%S} UTC"


def plural(count: int, noun: str) -> str:
    """`1 file`, `2 files`, `12 345 files`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def file_name(path: str) -> str:
    """The last component of a path."""
    return path.rstrip("/").rpartition("/")[2] or path


def use_path(path: str, kind: str) -> str:
    """The path of a file or dataset as it is shown: a folder ends in `/`; shards keep their pattern."""
    return f"{path}/" if kind == Kind.DATASET and members_folder(path) == f"{path}/" else path


def command_text(command: tuple[str, ...]) -> str:
    """A command as one would type it into a shell; what no page can show is escaped, lines stay lines."""
    return " ".join(shlex.quote(word) if word.translate(_LINES).isprintable() else quoted(word) for word in command)


def script_place(command: tuple[str, ...]) -> int:
    """Which word of a command says what it runs: behind an interpreter or launcher the script or module."""
    program = file_name(command[0])
    python = program.startswith("python")
    if python or program in LAUNCHERS:
        for place, word in enumerate(command[1:], 1):
            if python and word == "-m" and place + 1 < len(command):
                return place + 1
            if word.endswith(SCRIPTS):
                return place
    return 0
