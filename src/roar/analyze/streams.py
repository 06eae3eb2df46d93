"""Standard input and output as files: what the shell opened for the command, as if the command had done it first."""

import os
from collections.abc import Iterable, Sequence

from roar.analyze.contents import Content
from roar.analyze.surroundings import Surroundings
from roar.model import APPENDED, AS_STDIN, AS_STDOUT, AS_STDOUT_APPENDED
from roar.observe.streams import STDIN, STDOUT, Stream
from roar.observe.trace import Trace, list_reads, opening


def add_events(trace: Trace, around: Surroundings) -> None:
    """Put an opening of each stream before everything else."""
    if not around.streams:
        return
    for stream in around.streams:
        _open_folder(trace, stream.path)
    first = [process.started_ns for process in trace.processes[:1]] + [event.time_ns for event in trace.events[:1]]
    pid = trace.processes[0].pid if trace.processes else 0
    began = min(first, default=around.started_ns)
    trace.events[:0] = [opening(stream.path, stream.signature, time_ns=began, pid=pid, flags=_flags(stream))
                        for stream in around.streams]


def _flags(stream: Stream) -> int:
    """An output that held nothing is new; one that held something is continued, which reads it, too."""
    if stream.is_input:
        return os.O_RDONLY
    return os.O_WRONLY | (os.O_APPEND if stream.signature.size else os.O_CREAT | os.O_TRUNC)


def _open_folder(trace: Trace, path: str) -> None:
    """Where the command itself read a stream's file by its name, among others of a folder, list these one by one."""
    folder, _, name = path.rpartition("/")
    closed = next((files for files in trace.folders if files.folder == folder and files.has(os.fsencode(name))), None)
    if closed is not None:
        trace.folders = tuple(files for files in trace.folders if files is not closed)
        trace.events += list_reads([closed])
        trace.events.sort(key=lambda event: event.time_ns)


def add_notes(streams: Iterable[Stream], inputs: Sequence[Content], outputs: Sequence[Content]) -> None:
    """Say of each content that it was a stream, or was only added to, where there is nothing else to say of it."""
    for stream in (stream for stream in streams if stream.descriptor in {STDIN, STDOUT}):
        written = AS_STDOUT_APPENDED if stream.appends else AS_STDOUT
        uses, note = (inputs, AS_STDIN) if stream.descriptor == STDIN else (outputs, written)
        for content in uses:
            if content.use.path == stream.path and content.note is None:
                content.note = note
    for content in outputs:
        if content.use.appended and content.note is None:
            content.note = APPENDED
