"""Many small tasks at once, in processes forked from this one: threads would take turns at the interpreter."""

import mmap
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NoReturn, TypeVar

Task = TypeVar("Task")

FEWEST = 2  # processes that are worth it
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
    count = min(len(os.sched_getaffinity(0)), MOST, len(tasks))
    if count < FEWEST or threading.active_count() > 1:  # a fork would copy the locks that other threads hold
        return [None] * len(tasks)
    slot = size + 1
    with mmap.mmap(-1, slot * len(tasks)) as shared:
        shares = [range(first, len(tasks), count) for first in range(count)]
        children = [pid for share in shares[1:] if (pid := _fork(tasks, work, share, shared, slot))]
        untold = set(range(len(tasks)))

        def tell(places: Iterable[int]) -> None:
            for place in untold.intersection(places):
                if shared[place * slot]:
                    untold.remove(place)
                    finished(place)

        try:
            for place in _work_at(tasks, work, shares[0], shared, slot):
                tell(range(place - count, place + count))
        finally:
            for pid in children:
                os.waitpid(pid, 0)
        tell(range(len(tasks)))
        return [shared[at + 1:at + slot] if shared[at] else None for at in range(0, slot * len(tasks), slot)]


def _work_at(tasks: Sequence[Task], work: Callable[[Task], tuple[bytes, bool]], places: range, shared: mmap.mmap,
             slot: int) -> Iterator[int]:
    """Do the tasks at `places`; yields the place of each that is done."""
    for place in places:
        answer, go_on = work(tasks[place])
        at = place * slot
        shared[at + 1:at + 1 + len(answer)] = answer
        shared[at] = 1
        yield place
        if not go_on:
            return


def _fork(tasks: Sequence[Task], work: Callable[[Task], tuple[bytes, bool]], places: range, shared: mmap.mmap,
          slot: int) -> int:
    """The new process, or 0 where there can be none now."""
    try:
        pid = os.fork()
    except OSError:
        return 0
    if pid == 0:
        _be_child(tasks, work, places, shared, slot)
    return pid


def _be_child(tasks: Sequence[Task], work: Callable[[Task], tuple[bytes, bool]], places: range, shared: mmap.mmap,
              slot: int) -> NoReturn:
    """Whatever happens, this copy of the program ends here."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for _ in _work_at(tasks, work, places, shared, slot):
            pass
    finally:
        os._exit(0)
