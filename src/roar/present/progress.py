"""A progress bar on stderr while large files are digested; nothing for small ones, and nothing but on a terminal."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LARGE = 512 * 1024 * 1024  # bytes; less is done before a person wonders


@contextlib.contextmanager
def digesting(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A callback for (bytes done, bytes in all), or None where no bar is wanted."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    bar = _Bar()
    try:
        yield bar.show
    finally:
        bar.close()


class _Bar:
    """A bar that appears at the first call with enough to do."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def show(self, done: int, total: int) -> None:
        """Move the bar."""
        if total < LARGE:
            return
        if self._progress is None:
            from rich.console import Console  # noqa: PLC0415  44 ms, only where it draws
            from rich.progress import DownloadColumn, Progress  # noqa: PLC0415

            self._progress = Progress(*Progress.get_default_columns(), DownloadColumn(),
                                      console=Console(stderr=True), transient=True)
            self._task = self._progress.add_task("roar: digesting", total=total)
            self._progress.start()
        if self._task is not None:
            self._progress.update(self._task, completed=done)

    def close(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
