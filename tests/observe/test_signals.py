"""A signal that reaches roar reaches the command exactly once, whoever sent it and to whom."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from roar.observe import signals, tracing
from roar.observe.witness import Witness

MODES = ("full", "seccomp", "preload", "none")
ROAR = ("import sys; from roar.observe import tracing\n"
        "sys.exit(tracing.start(sys.argv[3:], log=sys.argv[1], mode=sys.argv[2]).wait().exit_code)\n")
COUNTS = ("import signal, sys, time\n"
          "heard = []\n"
          "for number in map(int, sys.argv[1:]): signal.signal(number, lambda number, _: heard.append(number))\n"
          "print('ready', flush=True)\n"
          "end = time.monotonic() + 20\n"
          "while not heard and time.monotonic() < end: time.sleep(0.02)\n"
          "time.sleep(0.6)\n"
          "print(*heard, flush=True)\n")
EACH = ("import os, signal, sys, time\n"
        "stop = []\n"
        "def tell(number, _): os.write(1, b'%d\\n' % number)\n"
        "for number in map(int, sys.argv[1:]): signal.signal(number, tell)\n"
        "signal.signal(signal.SIGTERM, lambda *_: stop.append(1))\n"
        "print('ready', flush=True)\n"
        "while not stop: time.sleep(0.05)\n")
GIVEN = ("import os, signal, sys\n"
         "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGRTMIN])\n"
         "for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTSTP): signal.signal(number, signal.SIG_IGN)\n"
         "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
         "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"
         "signal.setitimer(signal.ITIMER_REAL, 1000, 7)\n"
         "os.execvp(sys.argv[1], sys.argv[1:])\n")
FOUND = ("import signal\n"
         "print(*[line for line in open('/proc/self/status') if line[:6] in {'SigBlk', 'SigIgn', 'ShdPnd'}])\n"
         "print([round(seconds, -1) for seconds in signal.getitimer(signal.ITIMER_REAL)])\n"
         "raise SystemExit(3)\n")
ALL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


def command(tmp_path, mode, *before):
    counts = [sys.executable, "-c", COUNTS, *(str(int(number)) for number in ALL)]
    return [sys.executable, "-c", ROAR, str(tmp_path / "log"), mode, *before, *counts]


def heard(process):
    out, err = process.communicate(timeout=30)
    assert not err
    return [int(number) for number in out.split()]


def ready(words, **options):
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    return process


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("number", ALL)
def test_to_roar_alone(number, mode, tmp_path):
    process = ready(command(tmp_path, mode))
    process.send_signal(number)
    assert heard(process) == [number]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("number", ALL)
def test_to_the_group(number, mode, tmp_path):
    process = ready(command(tmp_path, mode), start_new_session=True)
    os.killpg(process.pid, number)
    assert heard(process) == [number]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("number", ALL)
def test_to_roar_that_was_started_to_ignore_it(number, mode, tmp_path):
    """As nohup(1) does, and a script's `&`: the command may handle it all the same; one that does not ignores it."""
    ignoring = ["env", "--ignore-signal=INT,QUIT,TERM,HUP,USR1"]
    process = ready([*ignoring, *command(tmp_path, mode)])
    process.send_signal(number)
    assert heard(process) == [number]
    process = subprocess.Popen([*ignoring, sys.executable, "-c", ROAR, str(tmp_path / "log2"), mode, "sh", "-c",
                                "echo ready; sleep 0.8; echo through"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert (process.communicate(timeout=30)[0], process.returncode) == ("through\n", 0)


@pytest.mark.parametrize("mode", ["auto", "none"])
def test_to_roar_that_was_started_to_block_it(mode, tmp_path):
    """The command may have it unblocked, as those do that set up handlers of their own."""
    block = "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()); "
    unblocks = f"import signal; signal.pthread_sigmask(signal.SIG_SETMASK, [])\n{COUNTS}"
    process = ready([sys.executable, "-c", f"{block}os.execv(sys.argv[1], sys.argv[1:])", sys.executable, "-c", ROAR,
                     tmp_path / "log", mode, sys.executable, "-c", unblocks, str(int(signal.SIGTERM))])
    process.send_signal(signal.SIGTERM)
    assert heard(process) == [signal.SIGTERM]


@pytest.mark.parametrize("number", ALL)
@pytest.mark.parametrize("options", [(), ("--foreground",)])
def test_by_timeout(options, number, tmp_path):
    """timeout(1) makes itself the leader of a group, signals its child, and then the group."""
    process = ready(["timeout", *options, "-s", str(int(number)), "1.5", *command(tmp_path, "auto")])
    assert heard(process) == [number]


def test_to_the_group_while_the_command_is_in_another(tmp_path):
    """As timeout(1) would reach it without roar in between."""
    process = ready(command(tmp_path, "auto", "setsid"), start_new_session=True)
    os.killpg(process.pid, signal.SIGINT)
    assert heard(process) == [signal.SIGINT]


def test_twice_to_roar_alone(tmp_path):
    process = ready(command(tmp_path, "auto"))
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert heard(process) == [signal.SIGINT] * 2


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("key", "number"), [(b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)])
def test_by_the_terminal(key, number, mode, tmp_path):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, command(tmp_path, mode))
    said = b""
    while b"ready" not in said:
        said += os.read(terminal, 4096)
    time.sleep(0.1)
    os.write(terminal, key)
    os.waitpid(pid, 0)
    said = os.read(terminal, 4096).removeprefix(b"\r\n")
    os.close(terminal)
    assert said.replace(b"^C", b"").replace(b"^\\", b"").split() == [str(int(number)).encode()]


def group_is_empty(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_in_the_group(number, tmp_path):
    words = [sys.executable, "-c", ROAR, str(tmp_path / "log"), "auto", "setsid", "sh", "-c", "echo ready; sleep 3"]
    process = ready(words, start_new_session=True)
    process.send_signal(number)
    process.wait()
    process.stdout.close()
    process.stderr.close()
    deadline = time.monotonic() + 2
    while not group_is_empty(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_witness_that_was_stopped_does_not_hold_up_the_end(tmp_path):
    process = ready(command(tmp_path, "auto"), start_new_session=True)
    os.killpg(process.pid, signal.SIGSTOP)
    os.killpg(process.pid, signal.SIGTERM)
    for found in subprocess.run(["ps", "-o", "pid=,comm=", "-g", str(process.pid)], stdout=subprocess.PIPE, text=True,
                                check=True).stdout.splitlines():
        if "witness" not in found:
            os.kill(int(found.split()[0]), signal.SIGCONT)
    assert signal.SIGTERM in heard(process)


@pytest.mark.parametrize("send", [os.kill, os.killpg])
@pytest.mark.parametrize("mode", ["auto", "none"])
def test_every_signal_that_can_be(mode, send, tmp_path):
    between = set(range(signal.SIGRTMIN + 1, signal.SIGRTMAX))
    numbers = sorted(signals.PASSED_ON - between - {signal.SIGTERM})
    process = ready([sys.executable, "-c", ROAR, str(tmp_path / "log"), mode, sys.executable, "-c", EACH,
                     *map(str, map(int, numbers))], start_new_session=True)
    for number in numbers:
        send(process.pid, number)
        assert int(process.stdout.readline()) == number
    process.send_signal(signal.SIGTERM)
    assert heard(process) == []
    assert process.returncode == 0


@pytest.mark.parametrize("moment", range(9))
def test_a_signal_that_comes_while_another_one_is_passed_on(moment):
    """Python calls a handler between any two lines of another one."""
    process = ready([sys.executable, "-c", EACH, str(int(signal.SIGUSR1)), str(int(signal.SIGHUP))])
    traced = tracing.Traced(pid=process.pid, mode="none", gaps=(), messages=None, witness=Witness())
    lines = iter(range(1000))

    def trace(frame, event, _):
        if frame.f_code is not tracing.Traced._pass_on.__code__:
            return None
        if event == "line" and next(lines) == moment:
            sys.settrace(None)
            traced._pass_on(signal.SIGHUP, None)
        return trace

    sys.settrace(trace)
    traced._pass_on(signal.SIGUSR1, None)
    sys.settrace(None)
    traced._witness.stop()
    process.send_signal(signal.SIGTERM)
    assert sorted(heard(process)) == [signal.SIGHUP, signal.SIGUSR1]


@pytest.mark.parametrize("number", sorted(signals.STOPPING))
@pytest.mark.parametrize("mode", MODES)
def test_what_no_shell_could_let_go_on_is_not_stopped(mode, number, tmp_path):
    """The kernel stops nobody in a group of which no member has a parent elsewhere in the session, as `ssh -t` has."""
    done = subprocess.run([sys.executable, "-c", ROAR, tmp_path / "log", mode, "sh", "-c",
                           f"kill -{int(number)} $$; exit 3"], start_new_session=True, check=False, timeout=20)
    assert done.returncode == 3


@pytest.mark.parametrize("mode", MODES)
def test_an_alarm_that_was_set_before_is_the_commands(mode, tmp_path):
    """`perl -e 'alarm N; exec @ARGV' CMD`, the timeout of systems that have no timeout(1)."""
    before = "import os, signal, sys; signal.alarm(1); os.execv(sys.argv[1], sys.argv[1:])"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", before, sys.executable, "-c", ROAR, tmp_path / "log", mode,
                           "sleep", "20"], check=False)
    assert done.returncode == 128 + signal.SIGALRM
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("mode", MODES)
def test_the_command_finds_what_roar_was_given(mode, tmp_path):
    """With SIGCHLD ignored there is no status of a child, but roar has one."""
    words = [sys.executable, "-c", FOUND]
    plain = subprocess.run([sys.executable, "-c", GIVEN, *words], capture_output=True, text=True, check=False)
    traced = subprocess.run([sys.executable, "-c", GIVEN, sys.executable, "-c", ROAR, tmp_path / "log", mode, *words],
                            capture_output=True, text=True, check=False)
    assert (traced.stdout, traced.stderr, traced.returncode) == (plain.stdout, plain.stderr, 3)


@pytest.mark.parametrize("send", [os.kill, os.killpg])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_before_the_command_is_in_the_group(number, send, tmp_path):
    """The tracer has left the group already, and has not started the command yet."""
    tracer = tmp_path / "tracer"
    tracer.write_text(f'#!/bin/sh\necho ready\nsleep 0.5\nexec {tracing._TRACER} "$@"\n')
    tracer.chmod(0o755)
    slow = f"from roar.observe import tracing; tracing._TRACER = {str(tracer)!r}\n{ROAR}"
    process = ready([sys.executable, "-c", slow, tmp_path / "log", "auto", "sh", "-c", "sleep 5; echo through"],
                    start_new_session=True)
    send(process.pid, number)
    assert heard(process) == []
    assert process.returncode == 128 + number
