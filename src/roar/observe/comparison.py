"""git's comparison of the work tree with a commit, begun before the command starts and done, if it can be, by then.

What the command changes must not count as changed before it. So the command waits for git, but not for long.
"""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence

WAIT_S = 0.25
"""By so much at most a command starts later: git needs some milliseconds, and more in a work tree of 100,000 files."""


class Comparison:
    """A command of git that runs beside. Its output goes to memory, so that nobody has to read it meanwhile."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], *, timeout_s: float) -> None:
        """Start it.

        Args:
            words: of the command.
            environment: its own.
            timeout_s: after so many seconds it is ended.

        Raises:
            OSError: it cannot be started.
        """
        self._until = time.monotonic() + timeout_s
        self._said: bytes | None = None
        self._output = os.memfd_create("git")
        try:
            self._process = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=self._output,
                                             stderr=subprocess.DEVNULL, start_new_session=True)
        except OSError:
            os.close(self._output)
            raise

    def wait(self, seconds: float = WAIT_S) -> None:
        """Wait until it has ended, at most for so long; no descriptor of it is left open then."""
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return
        self._take()

    def has_ended(self) -> bool:
        """Whether `wait` has seen its end."""
        return self._output < 0

    def result(self) -> bytes | None:
        """What it printed, None where it failed or took too long."""
        if self._output >= 0:
            self.wait(self._until - time.monotonic())
        self.end()
        return self._said

    def end(self) -> None:
        """End it where it has not ended."""
        if self._output >= 0:
            self._process.kill()
            self._process.wait()
            self._take()

    def _take(self) -> None:
        if self._output >= 0:
            if self._process.returncode == 0:
                self._said = os.pread(self._output, os.fstat(self._output).st_size, 0)
            os.close(self._output)
            self._output = -1
