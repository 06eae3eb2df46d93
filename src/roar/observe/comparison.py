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
    """Some commands of git that run at once, in processes of their own.

    Their output goes to memory, so that nobody has to read it meanwhile.
    """

    def __init__(self, commands: Sequence[Sequence[str]], environment: Mapping[str, str], *, timeout_s: float) -> None:
        """Start them.

        Args:
            commands: each with all its words.
            environment: theirs.
            timeout_s: after so many seconds they are ended.

        Raises:
            OSError: git cannot be started.
        """
        self._until = time.monotonic() + timeout_s
        self._outputs: list[int] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            for words in commands:
                self._outputs.append(os.memfd_create("git"))
                self._processes.append(subprocess.Popen(
                    words, env=environment, stdin=subprocess.DEVNULL, stdout=self._outputs[-1],
                    stderr=subprocess.DEVNULL, start_new_session=True))
        except OSError:
            self._end()
            raise

    def wait(self, seconds: float = WAIT_S) -> bool:
        """Wait until all have ended, at most for so long; whether they have."""
        until = time.monotonic() + seconds
        try:
            for process in self._processes:
                process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def results(self) -> list[bytes | None]:
        """What each of them printed, None where it failed. Called once."""
        self.wait(max(0.0, self._until - time.monotonic()))
        self._end()
        found = [None if process.returncode else os.pread(output, os.fstat(output).st_size, 0)
                 for process, output in zip(self._processes, self._outputs, strict=True)]
        for output in self._outputs:
            os.close(output)
        return found

    def _end(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()
