"""The lines that the job's processes wrote, made plain: without colour, grouped as they were written.

Only lines that a tracker recognises ever leave this module's callers; everything else is dropped.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from roar.observe.trace import ConsoleLine, Process

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # control sequences: colours, cursor (ECMA-48 5.4)
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # operating system commands: titles, hyperlinks
    r"|\x1b[@-Z\\-_=>]",
)
CUT = 511
"""Lines of this many bytes or more may have been cut by the tracer (native/console.h)."""
_READERS_OF_OLD_TEXT = frozenset({
    "ag", "awk", "bat", "cat", "cut", "egrep", "fgrep", "gawk", "grep", "head", "less", "mawk", "more", "nl", "rg",
    "sed", "sort", "tac", "tail", "tee", "uniq", "zcat", "zgrep", "zless", "xzcat", "zstdcat", "busybox",
})
_LAUNCHERS = frozenset({
    "apptainer", "docker", "enroot", "kubectl", "modal", "mpirun", "nerdctl", "podman", "ray", "rsh", "singularity",
    "sky", "srun", "ssh",
})


def plain(text: str) -> str:
    """Text without escape sequences; of a line redrawn with carriage returns what was last visible.

    The last word of a line that the tracer may have cut is left out: half an address is a wrong one.
    """
    is_cut = len(os.fsencode(text)) >= CUT
    text = _ESCAPES.sub("", text).rstrip("\r\n")
    text = text.rpartition("\r")[2]
    return re.sub(r"\S*\Z", "", text) if is_cut else text


@dataclass(frozen=True, slots=True)
class Line:
    """One line of output.

    Attributes:
        text: plain.
        following: the next lines of the same process and stream, as far as they were kept.
        pid: who wrote it.
        time_ns: as in the trace.
    """

    text: str
    following: tuple[str, ...]
    pid: int
    time_ns: int


class Console:
    """What the job printed, as far as it may prove something.

    Lines of programs that show old text (`cat`, `grep`, …) are left out: an old log printed again proves nothing.
    """

    def __init__(self, lines: Sequence[ConsoleLine], processes: Sequence[Process]) -> None:
        self._images: dict[int, list[Process]] = {}
        for process in sorted(processes, key=lambda process: process.started_ns):
            self._images.setdefault(process.pid, []).append(process)
        self.lines: list[Line] = []
        streams: dict[tuple[int, int], list[ConsoleLine]] = {}
        for line in lines:
            if self._program(line.pid, line.time_ns) not in _READERS_OF_OLD_TEXT:
                streams.setdefault((line.pid, line.descriptor), []).append(line)
        self.streams: list[str] = []
        for stream in streams.values():
            texts = [plain(line.text) for line in stream]
            self.streams.append("".join(texts))
            self.lines += [
                Line(text, tuple(texts[number + 1:number + 3]), line.pid, line.time_ns)
                for number, (line, text) in enumerate(zip(stream, texts, strict=True))
            ]
        self.lines.sort(key=lambda line: line.time_ns)

    def matches(self, pattern: re.Pattern[str], *, containing: str = "") -> Iterator[tuple[re.Match[str], Line]]:
        """Lines that match, in order of time; `containing` is looked for first because that is quick."""
        for line in self.lines:
            if containing in line.text and (match := pattern.search(line.text)):
                yield match, line

    def wrapped(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Matches over whole streams with the line ends taken out, for programs that wrap at 80 columns."""
        for stream in self.streams:
            yield from pattern.finditer(stream)

    def is_from_elsewhere(self, line: Line | ConsoleLine) -> bool:
        """Whether a launcher (`docker`, `ssh`, `srun`, …) wrote this line for a program that could not be observed."""
        return self._program(line.pid, line.time_ns) in _LAUNCHERS

    def _program(self, pid: int, time_ns: int) -> str:
        image: Process | None = None
        for process in self._images.get(pid, ()):
            if image is None or process.started_ns <= time_ns:
                image = process
        return os.path.basename(image.executable) if image else ""


def iter_values(processes: Iterable[Process], name: str) -> Iterator[str]:
    """Non-empty values that processes were started with, in order."""
    for process in processes:
        if value := process.environment.get(name):
            yield value
