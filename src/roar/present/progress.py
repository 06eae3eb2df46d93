"""Progress on stderr, on a terminal only: for what takes long."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

WONDERS_S = 4.0
LARGE = 512 * 1024 * 1024  # bytes to digest; less is done before a person wonders


@contextlib.contextmanager
def digesting(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A callback for (bytes done, bytes in all) while files are digested, or None where no bar is wanted."""
    with _bar("roar: digesting", quiet=quiet, least=LARGE) as show:
        yield show


@contextlib.contextmanager
def moving(title: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """The same while files go over the network, which makes a few bytes take long."""
    with _bar(f"roar: {title}", quiet=quiet, least=1) as show:
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
def _bar(title: str, *, quiet: bool, least: int) -> Iterator[Callable[[int, int], None] | None]:
    if quiet or not sys.stderr.isatty():
        yield None
        return
    bar = _Bar(title, least)
    try:
        yield bar.show
    finally:
        bar.close()


class _Bar:
    """A bar that appears at the first call with enough to do."""

    def __init__(self, title: str, least: int) -> None:
        self._title = title
        self._least = least
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def show(self, done: int, total: int) -> None:
        """Move the bar."""
        if total < self._least:
            return
        if self._progress is None:
            from rich.console import Console  # noqa: PLC0415  44 ms, only where it draws
            from rich.progress import DownloadColumn, Progress, TransferSpeedColumn  # noqa: PLC0415

            self._progress = Progress(*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn(),
                                      console=Console(stderr=True), transient=True)
            self._task = self._progress.add_task(self._title, total=total)
            self._progress.start()
        if self._task is not None:
            self._progress.update(self._task, completed=done)

    def close(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
