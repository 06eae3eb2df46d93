"""Progress on stderr, on a terminal only: for what takes long."""

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

WONDERS_S = 4.0
LARGE = 512 * 1024 * 1024  # bytes to digest, for which a person has to wait anyway
SOON_S = 0.2  # of less, what is done by then needs no bar
_FRAME_S = 0.1


@contextlib.contextmanager
def digesting(*, quiet: bool = False) -> Iterator[Callable[[int, int], None] | None]:
    """A callback for (bytes done, bytes in all) while files are digested, or None where no bar is wanted."""
    with _bar("roar: digesting", quiet=quiet, by_thread=False) as show:
        yield show


@contextlib.contextmanager
def moving(title: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """The same while files go over the network, which makes a few bytes take long."""
    with _bar(f"roar: {title}", quiet=quiet, by_thread=True, large=1) as show:
        yield show


@contextlib.contextmanager
def waiting(whom: str, most_s: int) -> Iterator[None]:
    """Say on a terminal whom an answer is waited for, if it does not come before a person wonders."""
    if not sys.stderr.isatty():
        yield
        return
    from threading import Timer  # noqa: PLC0415  only on a terminal

    timer = Timer(WONDERS_S, sys.stderr.write, [
        f"roar: waiting for {whom}, which has not answered yet; after {most_s} s without a word roar gives up\n"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def _bar(title: str, *, quiet: bool, by_thread: bool, large: int = LARGE
         ) -> Iterator[Callable[[int, int], None] | None]:
    if quiet or not sys.stderr.isatty():
        yield None
        return
    bar = _Bar(title, large, by_thread=by_thread)
    try:
        yield bar.show
    finally:
        bar.close()


class _Bar:
    """A bar that appears where there is something left to do soon after the first call.

    Args:
        title: what it stands behind.
        large: bytes in all from which on it appears at once.
        by_thread: whether a thread draws it, also between the calls; not where the process is forked meanwhile.
    """

    def __init__(self, title: str, large: int, *, by_thread: bool) -> None:
        self._title = title
        self._large = large
        self._by_thread = by_thread
        self._due_s: float | None = None
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def show(self, done: int, total: int) -> None:
        """Move the bar."""
        now = time.monotonic()
        if self._due_s is None:
            self._due_s = now if total >= self._large else now + SOON_S
        if now < self._due_s:
            return
        self._due_s = now + _FRAME_S
        try:
            self._draw(done, total)
        except Exception:  # noqa: BLE001  as where the terminal is gone: no reason to stop what it tells of
            self._due_s = math.inf

    def _draw(self, done: int, total: int) -> None:
        if self._progress is None or self._task is None:
            if done < total:
                self._begin(done, total)
            return
        self._progress.update(self._task, completed=done, total=total, refresh=not self._by_thread)

    def _begin(self, done: int, total: int) -> None:
        from rich.console import Console  # noqa: PLC0415  44 ms, only where it draws
        from rich.progress import DownloadColumn, Progress, TransferSpeedColumn  # noqa: PLC0415

        self._progress = Progress(*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn(),
                                  console=Console(stderr=True), transient=True, auto_refresh=self._by_thread)
        self._task = self._progress.add_task(self._title, total=total, completed=done)
        self._progress.start()

    def close(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            with contextlib.suppress(Exception):
                self._progress.stop()
