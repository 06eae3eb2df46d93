"""Tasks in processes forked from this one.

Many small ones at once, as threads would take turns at the interpreter; and such as may end their process.
"""

import contextlib
import mmap
import os
import select
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from roar.observe.machine import usable_cpus

Task = TypeVar("Task")

FEWEST = 2  # processes that are worth it
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_GLANCE = 0.1  # seconds between looks at how far another process is
MOST = 8  # more wait for the storage, not for a processor


def share_out(tasks: Sequence[Task], work: Callable[[Task], tuple[bytes, bool]], size: int,
              finished: Callable[[int], None]) -> list[bytes | None]:
    """Work at tasks on all processors.

    What a process that was killed or could not be started has not done is not done; nothing else comes of it.

    Args:
        tasks: each taken up at most once.
        work: does one task, and gives at most `size` bytes and whether its process is to go on with others. It must
            change nothing but what it returns: it runs in a copy of this process.
        size: bytes.
        finished: told, in this process, the place of each task that is done.

    Returns:
        In the order of the tasks; None where one was not done. Bytes that `work` did not give are 0.
    """
    count = min(usable_cpus(), MOST, len(tasks))
    if count < FEWEST or threading.active_count() > 1:  # a fork would copy the locks that other threads hold
        return [None] * len(tasks)
    answers = _Answers(len(tasks), size)

    def take(share: range) -> Iterator[int]:
        """Do these tasks; yields the place of each that is done."""
        for place in share:
            answer, go_on = work(tasks[place])
            answers.put(place, answer)
            yield place
            if not go_on:
                return

    shares = [range(first, len(tasks), count) for first in range(count)]
    children: list[int] = []
    untold = set(range(len(tasks)))

    def tell(places: Iterable[int]) -> None:
        for place in untold.intersection(places):
            if answers.get(place) is not None:
                untold.remove(place)
                finished(place)

    try:
        children.extend(filter(None, map(_fork, map(take, shares[1:]))))
        for place in take(shares[0]):
            tell(range(place - count, place + count))
    except BaseException:
        _end(children)
        raise
    _wait(children)
    tell(range(len(tasks)))
    return [answers.get(place) for place in range(len(tasks))]


def do_apart(tasks: Sequence[Task], work: Callable[[Task, Callable[[int], None]], bytes], size: int,
             advanced: Callable[[int], None]) -> list[bytes | None]:
    """Work at tasks one after the other in one other process, which one of them may kill.

    Args:
        tasks: none is taken up after one that killed the process.
        work: as for `share_out`; it tells now and then how much it has done since it last told, in a unit of its own,
            and may end there.
        size: bytes.
        advanced: told, in this process, how much has been done since it was last told: again and again, be it nothing.

    Returns:
        As of `share_out`.
    """
    if threading.active_count() > 1:
        return [None] * len(tasks)
    answers, amount, parent = _Answers(len(tasks), size), _Amount(), os.getpid()

    def advance(by: int) -> None:
        amount.add(by)
        if os.getppid() != parent:
            os._exit(0)

    def take() -> Iterator[int]:
        _leave_no_core()
        for place, task in enumerate(tasks):
            answers.put(place, work(task, advance))
            yield place

    pid = _fork(take())
    if not pid:
        return [None] * len(tasks)
    told = 0
    try:
        for _ in _until_end(pid):
            now = amount.get()
            advanced(now - told)
            told = now
    except BaseException:
        _end([pid])
        raise
    return [answers.get(place) for place in range(len(tasks))]


def _leave_no_core() -> None:
    import resource  # noqa: PLC0415  in the other process only

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (min(1, most) if most >= 0 else 1, most))  # 0 would be ignored by a pipe


def _until_end(pid: int) -> Iterator[None]:
    """Now and then, and once more when a process has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        descriptor = -1
    try:
        while descriptor >= 0 and not select.select([descriptor], [], [], _GLANCE)[0]:
            yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    _wait([pid])
    yield


class _Answers:
    """Answers of one size each, in memory that is shared with copies of this process."""

    def __init__(self, count: int, size: int) -> None:
        self._slot = size + 1  # the first byte says whether there is one
        self._memory = mmap.mmap(-1, self._slot * count)

    def put(self, place: int, answer: bytes) -> None:
        at = place * self._slot
        self._memory[at + 1:at + 1 + len(answer)] = answer
        self._memory[at] = 1

    def get(self, place: int) -> bytes | None:
        at = place * self._slot
        return self._memory[at + 1:at + self._slot] if self._memory[at] else None


class _Amount:
    """A number in memory that is shared with copies of this process, of which one adds to it."""

    def __init__(self) -> None:
        self._memory = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")

    def add(self, by: int) -> None:
        self._memory[0] += by

    def get(self) -> int:
        return self._memory[0]


def _end(children: Sequence[int]) -> None:
    for pid in children:
        os.kill(pid, signal.SIGTERM)
    _wait(children)


def _wait(children: Sequence[int]) -> None:
    for pid in children:
        with contextlib.suppress(ChildProcessError):  # the caller has SIGCHLD ignored
            os.waitpid(pid, 0)


def _fork(steps: Iterator[object]) -> int:
    """A copy of this process that takes these steps and ends, whatever happens; 0 where there can be none now.

    It takes no further step once this process is gone.
    """
    parent = os.getpid()
    held = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # what Python calls at a fork drops a KeyboardInterrupt
    try:
        pid = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        return 0
    if pid:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        except BaseException:
            _end([pid])
            raise
        return pid
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        for _ in steps:
            if os.getppid() != parent:
                break
    finally:
        os._exit(0)
