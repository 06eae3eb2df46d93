"""Read the event log that the native tracer wrote (native/event_log.h is the format, version 4)."""

import contextlib
import mmap
import os
import posixpath
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from roar.observe.folders import read_log_folders
from roar.observe.trace import ConsoleLine, Ended, Event, EventKind, Process, Signature, Trace

_MAGIC: Final = 0x474F4C2D52414F52
_VERSIONS: Final = (1, 2, 3, 4)  # in the first, the end of a process had no text
_MODES: Final = ("none", "full", "seccomp", "preload")

_HEADER: Final = struct.Struct("=QII QII QQQQ Ii Ii QQQQ")  # to filtered
_SHARED_OFFSET: Final = 128
_SHARED: Final = struct.Struct("=QQ IIII QQ II")
_CHUNK: Final = struct.Struct("=II8x")
_RECORD: Final = struct.Struct("=IIQiIHHHH")
_WORD: Final = struct.Struct("=I")
_SIGNATURE: Final = struct.Struct("=QQqqqI4x")

_USE: Final = struct.Struct("=QQQ")

_HEADER_SIZE: Final = 4096
_SETTINGS_CHUNKS: Final = 1
_MARK: Final = 0xA5
_RESULT_UNKNOWN: Final = -(2**31)

_EXEC, _FORK, _EXIT, _CONSOLE, _GAP = 32, 33, 34, 35, 36
_HAS_SIGNATURE, _EXISTED_KNOWN, _EXISTED = 1, 2, 4

OUTLIVED = "a process outlived the command"
OTHER_LISTENS = "another program already listens to the system calls made here"
"""Ends why a mode could not be had, where another tracer was there before (native/launcher.c)."""
NO_LIBRARY = "programs that do not load the preload library"
_KINDS: Final = {int(kind): kind for kind in EventKind}


class _Record(NamedTuple):
    ticks: int
    pid: int
    kind: int
    result: int
    flags: int
    bits: int
    signature: Signature | None
    text1: bytes
    text2: bytes


class _Header(NamedTuple):
    chunk_size: int
    first_ticks: int
    first_ns: int
    last_ticks: int
    last_ns: int
    mode: str
    command_pid: int
    ended: bool
    wait_status: int
    max_rss_kib: int
    user_us: int
    system_us: int
    next_chunk: int
    dropped: int
    unreadable: int
    supervisor_died: bool


def load_trace(log: str | os.PathLike[str], *, by_folder: bool = False) -> Trace:
    """Read what was observed.

    Tolerates a log cut short at any byte, by SIGKILL or by a full disk: what is whole is returned.

    Args:
        log: the event log; one that is missing, empty or not a log gives a trace of mode `none` that says so.
        by_folder: keep files that were only read together in `Trace.folders`, where that can be had.
    """
    with _mapped(log) as data:
        header = _read_header(data)
        if header is None:
            return Trace(mode="none", gaps=("the event log cannot be read",))
        apart = read_log_folders(log) if by_folder else None
        found = _iter_records(data, header) if apart is None else (_record_at(data, at) for at in apart.others)
        records = sorted((record for record in found if record is not None), key=_ticks_of)
    trace = _Assembly(header).assemble(records)
    trace.folders = () if apart is None else apart.folders
    return trace


def load_ended(log: str | os.PathLike[str]) -> Ended | None:
    """How the command ended, as the log has it; None if it has not ended or that was not seen."""
    with _mapped(log) as data:
        header = _read_header(data)
    if header is None or not header.ended:
        return None
    return Ended.from_wait_status(
        header.wait_status,
        max_rss=header.max_rss_kib * 1024,
        user_s=header.user_us / 1e6,
        system_s=header.system_us / 1e6,
    )


@contextlib.contextmanager
def _mapped(log: str | os.PathLike[str]) -> Iterator[mmap.mmap | bytes]:
    try:
        descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield b""
        return
    try:
        if os.fstat(descriptor).st_size == 0:
            yield b""
        else:
            with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as data:
                yield data
    finally:
        os.close(descriptor)


def _read_header(data: mmap.mmap | bytes) -> _Header | None:
    if len(data) < _HEADER_SIZE:
        return None
    (magic, version, chunk_size, _cookie, _options, _clock, first_ticks, first_ns, last_ticks, last_ns, mode, pid,
     ended, wait_status, rss, user, system, _filtered) = _HEADER.unpack_from(data)  # fmt: skip
    if magic != _MAGIC or version not in _VERSIONS or chunk_size <= _CHUNK.size or mode >= len(_MODES):
        return None
    (next_chunk, _limit, _want, _quiet, _closed, _epoch, dropped, unreadable, _canary, died) = _SHARED.unpack_from(
        data, _SHARED_OFFSET
    )
    return _Header(
        chunk_size, first_ticks, first_ns, last_ticks, last_ns, _MODES[mode], pid, ended == 1, wait_status, rss,
        user, system, next_chunk, dropped, unreadable, died != 0,
    )  # fmt: skip


def _ticks_of(record: _Record) -> int:
    return record.ticks


def _iter_records(data: mmap.mmap | bytes, header: _Header) -> Iterator[_Record]:
    size = len(data)
    for index in range(_SETTINGS_CHUNKS, header.next_chunk):
        start = _HEADER_SIZE + index * header.chunk_size
        if start + _CHUNK.size > size:
            return
        _pid, used = _CHUNK.unpack_from(data, start)
        first = start + _CHUNK.size
        end = min(first + used, start + header.chunk_size, size)
        if end > first:
            yield from _iter_chunk(data, first, end)


def _iter_chunk(data: mmap.mmap | bytes, at: int, end: int) -> Iterator[_Record]:
    while at + _RECORD.size <= end:
        (word,) = _WORD.unpack_from(data, at)
        size = word >> 16
        if word & 0xFF != _MARK or size < _RECORD.size or size & 7 or at + size > end:
            at += 8  # room reserved by a writer that was killed before it could say how much
            continue
        if (record := _record_at(data, at)) is not None:
            yield record
        at += size


def _record_at(data: mmap.mmap | bytes, at: int) -> _Record | None:
    """The record whose whole size lies within the data; None where it was never completed."""
    word, pid, ticks, result, flags, length1, length2, bits, _ = _RECORD.unpack_from(data, at)
    kind = (word >> 8) & 0xFF
    signed = bits & _HAS_SIGNATURE
    body = at + _RECORD.size + (_SIGNATURE.size if signed else 0)
    middle = body + length1
    if not kind or middle + length2 > at + (word >> 16):
        return None
    signature = Signature._make(_SIGNATURE.unpack_from(data, body - _SIGNATURE.size)) if signed else None
    return _Record(ticks, pid, kind, result, flags, bits, signature, data[body:middle], data[middle:middle + length2])


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


class _Paths:
    """Paths of the log without `.`, `..` and double slashes; a symlink stays by its name unless `..` follows it."""

    def __init__(self) -> None:
        self._real: dict[str, str] = {}

    def decode(self, text: bytes) -> str:
        path = text.decode("utf-8", "surrogateescape")
        if "/.." in path and path.startswith("/"):
            return self._without_dots(path)
        if "//" in path or "/." in path or path.endswith("/"):
            path = posixpath.normpath(path)
            if path.startswith("//"):
                path = path[1:]
        return path

    def _without_dots(self, path: str) -> str:
        """`..` leads up from where a symlink leads, not from where it stands; path_resolution(7)."""
        place = ""
        for name in path.split("/"):
            if name == "..":
                place = self._behind(place).rpartition("/")[0]
            elif name not in {"", "."}:
                place = f"{place}/{name}"
        return place or "/"

    def _behind(self, place: str) -> str:
        if place not in self._real:
            self._real[place] = os.path.realpath(place) if os.path.islink(place) else place
        return self._real[place]


def _note_end(process: Process, record: _Record) -> None:
    process.exit_code = record.result
    if len(record.text1) == _USE.size:
        max_rss_kib, user_us, system_us = _USE.unpack(record.text1)
        process.max_rss, process.user_s, process.system_s = max_rss_kib * 1024, user_us / 1e6, system_us / 1e6


class _Assembly:
    """Records in order of time, put together to a trace."""

    def __init__(self, header: _Header) -> None:
        self.header = header
        self.trace = Trace(mode=header.mode)
        self.paths = _Paths()
        self.alive: dict[int, Process] = {}
        self.images: dict[int, list[Process]] = {}  # by pid, in order of time
        self.forked: dict[int, Process] = {}  # by id(): not yet completed from their parent
        self.used: set[int] = set()  # id() of those that did something
        self.said: list[str] = []
        ticks = header.last_ticks - header.first_ticks
        self.scale = (header.last_ns - header.first_ns) / ticks if ticks > 0 else 1.0

    def assemble(self, records: list[_Record]) -> Trace:
        for record in records:
            kind = _KINDS.get(record.kind)
            if kind is not None:
                self._add_event(kind, record)
            elif record.kind == _EXEC:
                self._add_exec(record)
            elif record.kind == _FORK:
                self._add_fork(record)
            elif record.kind == _EXIT:
                self._add_exit(record)
            elif record.kind == _CONSOLE:
                self.trace.console.append(
                    ConsoleLine(self._time_ns(record.ticks), record.pid, record.flags, _decode(record.text1))
                )
            elif record.kind == _GAP:
                self.said.append(_decode(record.text1))
        for process in self.trace.processes:
            self._complete(process)
        self.trace.gaps = tuple(dict.fromkeys(self._iter_gaps()))
        if self.trace.duration_s is None and self.header.ended and OUTLIVED not in self.said:
            self._end(self.header.last_ns)  # the tracer ended with it
        return self.trace

    def _add_exit(self, record: _Record) -> None:
        if record.pid == self.header.command_pid and self.trace.duration_s is None:
            self._end(self._time_ns(record.ticks))
        if record.pid in self.alive:
            _note_end(self.alive.pop(record.pid), record)

    def _end(self, time_ns: int) -> None:
        self.trace.ended_ns = time_ns
        self.trace.duration_s = (time_ns - self.header.first_ns) / 1e9

    def _time_ns(self, ticks: int) -> int:
        return self.header.first_ns + int((ticks - self.header.first_ticks) * self.scale)

    def _add_event(self, kind: EventKind, record: _Record) -> None:
        result = None if record.result == _RESULT_UNKNOWN else record.result
        if self.forked and record.pid in self.alive:
            self.used.add(id(self.alive[record.pid]))
        if result is not None and result < 0:
            return
        symlink = kind is EventKind.SYMLINK
        self.trace.events.append(
            Event(
                self._time_ns(record.ticks),
                record.pid,
                kind,
                _decode(record.text1) if symlink else self.paths.decode(record.text1),
                self.paths.decode(record.text2) if record.text2 else "",
                record.flags,
                result,
                record.signature,
                bool(record.bits & _EXISTED) if record.bits & _EXISTED_KNOWN else None,
            )
        )

    def _add_exec(self, record: _Record) -> None:
        cwd, *words = record.text2.split(b"\0")[:-1] or [b""]
        process = Process(
            pid=record.pid,
            ppid=record.result,
            argv=tuple(_decode(word) for word in words[: record.flags]),
            executable=self.paths.decode(record.text1),
            cwd=_decode(cwd),
            started_ns=self._time_ns(record.ticks),
            environment=dict(_decode(word).split("=", 1) for word in words[record.flags :] if b"=" in word),
        )
        self._add_process(process)
        if process.executable.startswith("/"):  # the kernel reads it
            existed = True if record.signature else None
            flags = os.O_RDONLY | os.O_CLOEXEC
            self.trace.events.append(
                Event(
                    process.started_ns,
                    record.pid,
                    EventKind.OPEN,
                    process.executable,
                    "",
                    flags,
                    None,
                    record.signature,
                    existed,
                )
            )

    def _add_fork(self, record: _Record) -> None:
        """A process that lives without exec is an image of its parent's program, which may be known only later."""
        if record.pid in self.alive:
            return
        process = Process(
            pid=record.pid,
            ppid=record.result,
            argv=(),
            executable="",
            cwd="",
            started_ns=self._time_ns(record.ticks),
        )
        self._add_process(process)
        self.forked[id(process)] = process

    def _add_process(self, process: Process) -> None:
        last = self.alive.get(process.pid)
        if last is not None and self.forked.get(id(last)) is last and id(last) not in self.used:
            self.trace.processes.remove(last)  # it did nothing between fork and exec
            del self.forked[id(last)]
            self.images[last.pid].remove(last)
        self.trace.processes.append(process)
        self.alive[process.pid] = process
        self.images.setdefault(process.pid, []).append(process)

    def _complete(self, process: Process) -> None:
        """Give a forked process what it has from its parent."""
        if self.forked.pop(id(process), None) is None:
            return
        images = [image for image in self.images.get(process.ppid, ()) if image is not process]
        if not images:
            return
        earlier = [image for image in images if image.started_ns <= process.started_ns]
        parent = earlier[-1] if earlier else images[0]
        self._complete(parent)
        process.argv, process.executable, process.cwd = parent.argv, parent.executable, parent.cwd
        process.environment = dict(parent.environment)

    def _iter_gaps(self) -> Iterator[str]:
        header = self.header
        yield from self.said
        if header.mode == "preload":
            yield NO_LIBRARY
        if header.supervisor_died:
            yield "supervisor was killed"
        if header.dropped:
            yield f"{header.dropped} events lost: the event log could not grow"
        if header.unreadable:
            yield f"{header.unreadable} calls could not be read"
        if not header.ended:
            yield "the end of the command was not seen"
