"""Many files at once: a pool of threads that stops at the first thing that goes wrong."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from roar.transfer.locations import Location

TOGETHER = 8
"""Files under way at once."""

_T = TypeVar("_T")
_R = TypeVar("_R")


class State(StrEnum):
    """What became of one file."""

    MOVED = "moved"
    THERE = "there"  # it was there already, with the same content


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One file and the object that it came from or went to.

    Attributes:
        path: absolute.
        location: of the object.
        digest: BLAKE3 of the content of both, 64 hex.
        size: bytes.
    """

    path: str
    location: Location
    digest: str
    size: int
    state: State


class StoppedError(Exception):
    """Another file could not be moved, or the user has had enough."""


class Progress:
    """Bytes done, told to a person; and the word to stop, told to the threads. Of one command."""

    def __init__(self, show: Callable[[int, int], None] | None = None) -> None:
        self._show = show
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._done = 0
        self.total = 0

    def add(self, size: int) -> None:
        """`size` bytes more are done (or fewer, where something is done again).

        Raises:
            StoppedError: there is no point in going on.
        """
        if self._stop.is_set():
            raise StoppedError
        with self._lock:
            self._done += size
            if self._show is not None:
                self._show(self._done, self.total)

    def pause(self, seconds: float) -> None:
        """Wait; not when it is time to stop."""
        if self._stop.wait(seconds):
            raise StoppedError

    def stop(self) -> None:
        """Let every thread end soon."""
        self._stop.set()


def for_each(things: Iterable[_T], act: Callable[[_T], _R], progress: Progress,
             done: Callable[[_R], None] | None = None) -> list[_R]:
    """What `act` gives for each thing, in their order.

    Args:
        things: what to do.
        act: called in several threads.
        progress: to stop them by.
        done: told of every result once nothing runs any more, also where something failed.

    Raises:
        RoarError: the first that `act` raised; the rest was stopped.
        KeyboardInterrupt: likewise.
    """
    pool = ThreadPoolExecutor(TOGETHER)
    futures: list[Future[_R]] = [pool.submit(act, thing) for thing in things]
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
    finally:
        if not all(future.done() for future in futures):
            progress.stop()
        pool.shutdown(cancel_futures=True)
        ended = [future for future in futures if not future.cancelled()]
        errors = [error for future in ended if (error := future.exception()) is not None]
        for future in ended:
            if done is not None and future.exception() is None:
                done(future.result())
    for error in sorted(errors, key=lambda error: isinstance(error, StoppedError)):
        raise error
    return [future.result() for future in futures]
