"""Commands from a process that has imported their program already, and forks itself for each of them.

Two thirds of what a short command costs are its imports. As a program this is that process: it takes requests from the
socket at its descriptor 0, which are JSON (arguments, environment, folder, umask) with the descriptors 0 to 2 of the
command, and answers each with the command's process id and, when it has ended, with that and its status as subprocess
has it. All that is a command's own is made anew in its process: environment, folder, descriptors, streams.
TESTS_COLD=1 has every command start an interpreter of its own in place of that.
"""

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from select import PIPE_BUF
from typing import ClassVar

_LARGEST = 1 << 20  # bytes of a request
_LEFT_OUT = (".__main__", "roar.commands.ui", "roar.testing", ".migrations.env")


def run(module, program, arguments, *, env, cwd, timeout, text=True, **more):
    """subprocess.run with capture_output, of the `main` of a module where that does nothing else than the program.

    So it is where an interpreter that starts with this environment would not speak otherwise, and nothing else is
    asked but an `input` that a pipe holds.
    """
    given = more.pop("input", None)
    if (not more and len(given or "") < PIPE_BUF and "TESTS_COLD" not in os.environ
            and not any(name.startswith("PYTHON") for name in env)
            and _of_the_locale(env) == _of_the_locale(os.environ)):
        return Warm.of(module).run(arguments, env=env, cwd=cwd, timeout=timeout, text=text, given=given)
    return run_cold(program, arguments, env=env, cwd=cwd, timeout=timeout, text=text, input=given, **more)


def run_cold(program, arguments, **more):
    """The program itself."""
    return subprocess.run([*program, *arguments], capture_output=True, check=False, **more)


def start_server(*arguments, stderr=None):
    """subprocess.Popen of `glaas ARGUMENTS`, with a pipe at its stdout, and if asked at its stderr; both are text."""
    if "TESTS_COLD" in os.environ:
        return subprocess.Popen([sys.executable, "-m", "glaas.cli", *arguments], stdout=subprocess.PIPE, stderr=stderr,
                                text=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return Warm.of("glaas.cli").start(arguments, env=env, stderr=stderr)


class Warm:
    """The caller's side: `Warm.of("roar.cli")` runs the `main` of that module.

    Args:
        module: the program. Everything in its package is imported beforehand.
    """

    _made: ClassVar = {}

    @classmethod
    def of(cls, module):
        """One for all tests of this process; another where a test has killed that."""
        made = cls._made.get(module)
        if made is None or made._process.poll() is not None:
            made = cls._made[module] = cls(module)
            atexit.register(made.close)
        return made

    def __init__(self, module):
        self._module = module
        self._ended = {}
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("ROAR", "GLAAS", "PYTEST", "PYTHON"))}
        with theirs:
            self._process = subprocess.Popen([sys.executable, __file__, module], stdin=theirs, env=environment)

    def close(self):
        self._socket.close()
        self._process.wait()

    def run(self, arguments, *, env, cwd, timeout, text, given):
        """As subprocess.run does with capture_output. `given` is its stdin; without one there is nothing to read."""
        stdin = os.open(os.devnull, os.O_RDONLY) if given is None else _pipe_with(given)
        (out, outs), (errors, errs) = os.pipe(), os.pipe()
        pid = self._begin(arguments, env, cwd, (stdin, outs, errs))
        try:
            read = _read((out, errors), time.monotonic() + timeout)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired([self._module, *arguments], timeout) from None
        finally:
            os.close(out)
            os.close(errors)
            status = self.wait_for(pid)
        said = [io.TextIOWrapper(io.BytesIO(one)).read() for one in read] if text else read
        return subprocess.CompletedProcess([self._module, *arguments], status, *said)

    def start(self, arguments, *, env, stderr=None):
        """As subprocess.Popen does: a `Started`, with a pipe at its stdout, and at its stderr if that is to be one."""
        stdin = os.open(os.devnull, os.O_RDONLY)
        (out, outs), (errors, errs) = os.pipe(), (os.pipe() if stderr == subprocess.PIPE else (None, os.dup(2)))
        pid = self._begin(arguments, env, os.getcwd(), (stdin, outs, errs))
        return Started(self, pid, os.fdopen(out), None if errors is None else os.fdopen(errors))

    def _begin(self, arguments, env, cwd, streams):
        """Returns the command's process id. Closes its three descriptors here."""
        umask = os.umask(0o022)
        os.umask(umask)
        request = json.dumps({"arguments": [os.fsdecode(one) for one in arguments], "env": env, "cwd": str(cwd),
                              "umask": umask}).encode()
        try:
            socket.send_fds(self._socket, [request], list(streams))
        finally:
            for descriptor in streams:
                os.close(descriptor)
        while True:
            match self._hear():
                case [pid]:
                    return pid
                case pid, status:
                    self._ended[pid] = status

    def wait_for(self, pid, timeout=None):
        """The status of a command once it has ended; None if it has not by then. Once for each."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while pid not in self._ended:
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            if not select.select([self._socket], (), (), left)[0]:
                return None
            ended, status = self._hear()
            self._ended[ended] = status
        return self._ended.pop(pid)

    def _hear(self):
        return [int(number) for number in self._socket.recv(64).split()]


class Started:
    """A command that runs, with what subprocess.Popen has."""

    def __init__(self, warm, pid, stdout, stderr):
        self._warm, self.pid, self.stdout, self.stderr = warm, pid, stdout, stderr
        self.returncode = None

    def poll(self):
        if self.returncode is None:
            self.returncode = self._warm.wait_for(self.pid, 0)
        return self.returncode

    def wait(self, timeout=None):
        if self.returncode is None:
            self.returncode = self._warm.wait_for(self.pid, timeout)
            if self.returncode is None:
                raise subprocess.TimeoutExpired([str(self.pid)], timeout)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def communicate(self, timeout):
        streams = {stream.fileno(): stream for stream in (self.stdout, self.stderr) if stream}
        read = _read(tuple(streams), time.monotonic() + timeout)
        said = dict(zip(streams.values(), read, strict=True))
        for stream in streams.values():
            stream.close()
        self.wait(timeout)
        return tuple(said[stream].decode() if stream else None for stream in (self.stdout, self.stderr))


def _pipe_with(text):
    """The reading end of a pipe that holds a text."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with os.fdopen(writer, "wb", buffering=0) as file:
        content = text.encode() if isinstance(text, str) else text
        assert file.write(content) == len(content), "so much does not fit into a pipe"
    return reader


def _of_the_locale(env):
    return {name: value for name, value in env.items() if name.startswith(("LC_", "LANG"))}


def _read(pipes, deadline):
    """All that comes out of pipes until they are closed."""
    parts = {pipe: [] for pipe in pipes}
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(deadline - time.monotonic())
            if not ready and time.monotonic() > deadline:
                raise TimeoutError
            for key, _ in ready:
                part = os.read(key.fd, 1 << 16)
                if part:
                    parts[key.fd].append(part)
                else:
                    selector.unregister(key.fd)
    return [b"".join(parts[pipe]) for pipe in pipes]


def _serve(package):
    """Answer requests; returns in the process of a command that is to run."""
    _import_all(package)
    line = socket.socket(fileno=os.dup(0))
    selector = selectors.DefaultSelector()
    selector.register(line, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is not line:
                selector.unregister(key.fd)
                os.close(key.fd)
                line.send(f"{key.data} {os.waitstatus_to_exitcode(os.waitpid(key.data, 0)[1])}".encode())
                continue
            request, descriptors, _, _ = socket.recv_fds(line, _LARGEST, 3)
            if not request:
                os._exit(0)
            pid = os.fork()
            if pid == 0:
                for other in list(selector.get_map().values()):
                    os.close(other.fd)
                selector.close()
                line.detach()
                _become(json.loads(request), descriptors)
                return
            for descriptor in descriptors:
                os.close(descriptor)
            line.send(str(pid).encode())
            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)


def _import_all(package):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not module.name.endswith(_LEFT_OUT):
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()


def _become(request, descriptors):
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = os.fdopen(0, encoding="utf-8")
    sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    os.umask(request["umask"])
    os.chdir(request["cwd"])
    sys.argv[1:] = request["arguments"]


def _end(status):
    """End as the interpreter does, but for taking itself apart."""
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError:
        status = 120
    os._exit(status)


def _main(module):
    package = module.partition(".")[0]
    _serve(package)
    sys.argv[0] = package
    sys.orig_argv[1:] = ["-m", package, *sys.argv[1:]]
    try:
        status = importlib.import_module(module).main()
    except SystemExit as ended:  # argparse's
        status = ended.code
    _end(status)


if __name__ == "__main__":
    _main(sys.argv[1])
