"""Commands from a process that has imported their program already, and forks itself for each of them.

Two thirds of what a short command costs are its imports. As a program this is that process: it takes one request at a
time from the socket at its descriptor 0, which is JSON (arguments, environment, folder, umask) with the descriptors 0
to 2 of the command, and answers with the command's process id and, when it has ended, its status as subprocess has
it. All that is a command's own is made anew in its process: environment, folder, descriptors, streams.
TESTS_COLD=1 has every command start an interpreter of its own in place of that.
"""

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
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
        umask = os.umask(0o022)
        os.umask(umask)
        request = json.dumps({"arguments": [os.fsdecode(one) for one in arguments], "env": env, "cwd": str(cwd),
                              "umask": umask}).encode()
        stdin = os.open(os.devnull, os.O_RDONLY) if given is None else _pipe_with(given)
        (out, outs), (errors, errs) = os.pipe(), os.pipe()
        try:
            socket.send_fds(self._socket, [request], [stdin, outs, errs])
        finally:
            for descriptor in (stdin, outs, errs):
                os.close(descriptor)
        pid = int(self._socket.recv(64))
        try:
            read = _read((out, errors), time.monotonic() + timeout)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired([self._module, *arguments], timeout) from None
        finally:
            os.close(out)
            os.close(errors)
            status = int(self._socket.recv(64))
        said = [io.TextIOWrapper(io.BytesIO(one)).read() for one in read] if text else read
        return subprocess.CompletedProcess([self._module, *arguments], status, *said)


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
    while True:
        request, descriptors, _, _ = socket.recv_fds(line, _LARGEST, 3)
        if not request:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            line.close()
            _become(json.loads(request), descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        line.send(str(pid).encode())
        line.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


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
