"""`tracing.start` and `wait`, from the point of view of the command, the terminal and roar itself."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from roar.observe import log as event_log
from roar.observe import tracing

MODES = ("full", "seccomp", "preload")
ROAR = textwrap.dedent("""
    import sys
    from pathlib import Path
    from roar.observe import tracing
    traced = tracing.start(sys.argv[3:], log=Path(sys.argv[1]), mode=sys.argv[2])
    print(f"started {traced.pid}\\n", end="", flush=True)
    ended = traced.wait()
    print(f"ended {ended.exit_code}\\n", end="", flush=True)
""")


def run(command, folder, mode="full", **options):
    log = folder / "event.log"
    traced = tracing.start(command, log=log, mode=mode, **options)
    ended = traced.wait()
    trace = event_log.load_trace(log)
    log.unlink(missing_ok=True)
    return traced, ended, trace


@pytest.mark.parametrize("mode", [*MODES, "none"])
@pytest.mark.parametrize(
    ("command", "exit_code", "signal_number", "error"),
    [
        (["true"], 0, None, None),
        (["sh", "-c", "exit 42"], 42, None, None),
        (["sh", "-c", "kill -TERM $$"], 143, 15, None),
        (["sh", "-c", "kill -9 $$"], 137, 9, None),
        (["no-such-command-anywhere"], 127, None, "not found"),
        (["/etc/passwd"], 126, None, "not executable"),
        (["/etc"], 126, None, "not executable"),
    ],
)
def test_exit_status(command, exit_code, signal_number, error, mode, tmp_path):
    traced, ended, trace = run(command, tmp_path, mode)
    assert (ended.exit_code, ended.signal, ended.error) == (exit_code, signal_number, error)
    if mode != "none":
        assert traced.mode == trace.mode == mode
        assert signal_number is None or trace.processes[0].exit_code == exit_code


def test_resource_use(tmp_path):
    work = "x = bytearray(60_000_000); sum(range(3_000_000))"
    _, ended, _ = run([sys.executable, "-c", work], tmp_path)
    assert 60_000_000 < ended.max_rss < 1_000_000_000
    assert 0.02 < ended.user_s < 30


SURROUNDINGS = """
ulimit -a; umask; ls -l /proc/self/fd | sed 's/.*[0-9][0-9]:[0-9][0-9] //' | grep -v '/proc/' | sed 's/pipe:.*/pipe/'
grep -E '^(SigBlk|SigIgn|SigCgt|SigPnd|Shd|NSpid|Groups|Cap|Cpus_allowed)' /proc/self/status | grep -v NSpid
ps -o pgid=,sid=,tty=,ni= -p $$; cat /proc/$$/oom_score_adj
"""


@pytest.mark.parametrize("mode", MODES)
def test_the_command_finds_its_surroundings_unchanged(mode, tmp_path):
    native, traced = tmp_path / "native", tmp_path / "traced"
    kept = os.dup(1)
    for target, start in ((native, None), (traced, mode)):
        fd = os.open(target, os.O_WRONLY | os.O_CREAT)
        os.dup2(fd, 1)
        os.close(fd)
        try:
            if start:
                run(["sh", "-c", SURROUNDINGS], tmp_path, mode)
            else:
                subprocess.run(["sh", "-c", SURROUNDINGS], check=True)
        finally:
            os.dup2(kept, 1)
    os.close(kept)
    assert "SigBlk" in native.read_text()
    assert traced.read_text().replace("/traced", "/native") == native.read_text()


@pytest.mark.parametrize("mode", MODES)
def test_closed_streams_stay_closed(mode, tmp_path):
    (tmp_path / "in.txt").write_text("x")
    closed = "exec <&- >&- 2>&-"
    look = f"ls /proc/self/fd > {tmp_path}/open; read x < {tmp_path}/in.txt"
    roar = f"{sys.executable} -c '{ROAR}' {tmp_path}/log {mode}"
    subprocess.run(["bash", "-c", f"{closed}; {roar} sh -c '{look}'"], check=False)
    subprocess.run(["bash", "-c", f"{closed}; sh -c 'ls /proc/self/fd > {tmp_path}/native'"], check=True)
    assert (tmp_path / "open").read_text() == (tmp_path / "native").read_text()
    trace = event_log.load_trace(tmp_path / "log")
    assert trace.mode == mode
    assert str(tmp_path / "in.txt") in {event.path for event in trace.events}


@pytest.mark.parametrize("mode", MODES)
def test_a_file_size_limit_is_the_commands_alone(mode, tmp_path):
    script = f"ulimit -S -f 8; {sys.executable} -c '{ROAR}' {tmp_path}/log {mode} sh -c 'ulimit -f; ulimit -H -f'"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith("started")] == ["16", "unlimited", "ended 0"]  # of 512 bytes
    assert event_log.load_trace(tmp_path / "log").mode == mode


@pytest.mark.parametrize("mode", MODES)
def test_environment_gains_two_variables_at_most(mode, tmp_path, monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", "libm.so.6")
    target = tmp_path / "environment"
    run(["sh", "-c", f"env -0 > {target}"], tmp_path, mode)
    found = dict(entry.split("=", 1) for entry in target.read_text().split("\0") if entry)
    gained = set(found) - set(os.environ) - {"_", "SHLVL", "OLDPWD", "PWD"}
    assert gained == (set() if mode == "seccomp" else {"ROAR_TRACE"})
    same = {name for name in found if name not in {"_", "LD_PRELOAD", *gained}}
    assert {name: found[name] for name in same} == {name: os.environ.get(name, found[name]) for name in same}
    assert set(os.environ) - set(found) <= {"_", "OLDPWD"}
    assert found["LD_PRELOAD"].split(":") == ["libm.so.6", tracing._LIBRARY][: 1 if mode == "seccomp" else 2]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_to_roar_reach_the_command(number, mode, tmp_path):
    script = "trap 'echo got it; exit 5' TERM HUP USR1; echo ready; while :; do sleep 0.05; done"
    command = [sys.executable, "-c", ROAR, str(tmp_path / "log"), mode, "bash", "-c", script]
    roar = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lines = [roar.stdout.readline(), roar.stdout.readline()]
    assert sorted(line.split()[0] for line in lines) == ["ready", "started"]
    roar.send_signal(number)
    assert roar.stdout.read().split() == ["got", "it", "ended", "5"]
    roar.stdout.close()
    assert roar.wait() == 0


class Terminal:
    """An interactive bash on a terminal of its own."""

    def __init__(self):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["PS1"] = "PROMPT> "
            os.environ["TERM"] = "dumb"
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
        self.seen = ""
        self.expect("PROMPT> ")

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def expect(self, pattern: str, seconds: float = 20.0) -> str:
        end = time.monotonic() + seconds
        while not (match := re.search(pattern, self.seen)):
            assert time.monotonic() < end, f"{pattern!r} not in {self.seen!r}"
            if select.select([self.fd], [], [], 0.2)[0]:
                self.seen += os.read(self.fd, 4096).decode(errors="replace")
        before, self.seen = self.seen[: match.end()], self.seen[match.end() :]
        return before

    def close(self) -> None:
        self.type("\x04")
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def terminal():
    terminal = Terminal()
    yield terminal
    terminal.close()


@pytest.fixture
def roar_command(tmp_path):
    program = tmp_path / "start.py"
    program.write_text(ROAR)
    return f"{sys.executable} {program} {tmp_path}/log-$RANDOM"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("mode", MODES)
def test_job_control(mode, terminal, roar_command):
    steps = """import time; [(print(f"step-{i}", flush=True), time.sleep(0.2)) for i in range(1, 9)]"""
    terminal.type(f"{roar_command} {mode} {sys.executable} -c '{steps}'\n")
    terminal.expect("step-2")
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.expect("PROMPT> ")
    time.sleep(0.7)
    terminal.type("echo quiet $((40+2))\n")
    before = terminal.expect("quiet 42")
    assert "step-" not in before.replace("echo step-", "")
    terminal.type("fg\n")
    terminal.expect("step-8")
    terminal.expect("ended 0")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("mode", MODES)
def test_ctrl_c_is_the_commands_business(mode, terminal, roar_command):
    script = 'trap "echo caught; exit 3" INT; echo go; while :; do sleep 0.05; done'
    terminal.type(f"{roar_command} {mode} sh -c '{script}'\n")
    terminal.expect(r"\ngo")
    terminal.type("\x03")
    terminal.expect("caught")
    terminal.expect("ended 3")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("mode", MODES)
def test_the_terminal_keeps_its_size_and_its_foreground_job(mode, terminal, roar_command, tmp_path):
    (tmp_path / "look").write_text(
        "stty -a; tty; stty size; ps -o stat=,tty=,sid= -p $$ | sed 's/^[RS]/S/'\n"
        "ps -o tpgid= -o pgid= -p $$ | awk '{print $1 == $2}'\n"
    )
    terminal.type("stty rows 33 cols 77\n")
    terminal.expect("PROMPT> ")
    terminal.type(f"sh {tmp_path}/look > {tmp_path}/native\n")
    terminal.expect("PROMPT> ")
    terminal.type(f"{roar_command} {mode} sh -c 'sh {tmp_path}/look > {tmp_path}/traced'\n")
    terminal.expect("ended 0")
    traced = (tmp_path / "traced").read_text()
    native = (tmp_path / "native").read_text()
    assert "33 77\nS+ " in native
    assert native.endswith("\n1\n")
    assert traced == native


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("mode", MODES)
def test_job_control_of_roar_run(mode, terminal, tmp_path, monkeypatch):
    """What a person does: Ctrl-Z, `jobs`, `bg`, `fg`, Ctrl-Z again, `kill %1`."""
    terminal.type(f"cd {tmp_path}; export ROAR_TRACER_MODE={mode} HOME={tmp_path}\n")
    steps = "for i in $(seq 400); do echo step-$i; sleep 0.05; done"
    terminal.type(f"{sys.executable} -m roar run -q bash -c '{steps}'\n")
    terminal.expect("step-3\r")
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.type("jobs\n")
    terminal.expect(r"\[1\]\+ +Stopped .* run -q bash")
    terminal.type("bg\n")
    terminal.expect("step-1[0-9]\r")
    terminal.type("fg\n")
    terminal.expect("step-2[0-9]\r")
    terminal.type("\x1a")
    terminal.expect("Stopped")
    time.sleep(0.3)
    terminal.type("echo quiet $((40+2))\n")
    terminal.expect("quiet 42")
    terminal.type("kill %1; fg\n")
    terminal.expect("Terminated|step-")
    terminal.type("echo status $?\n")
    terminal.expect(r"status 143")


@pytest.mark.parametrize("mode", MODES)
def test_no_file_is_left_and_none_is_in_the_commands_way(mode, tmp_path, monkeypatch):
    places = [tmp_path / name for name in ("work", "home", "tmp", "log")]
    for place in places:
        place.mkdir()
    monkeypatch.chdir(places[0])
    monkeypatch.setenv("HOME", str(places[1]))
    monkeypatch.setenv("TMPDIR", str(places[2]))
    shared = {folder: set(os.listdir(folder)) for folder in ("/tmp", "/dev/shm", "/run", "/var/tmp")}
    seen = f"ls -A . {places[1]} {places[2]} /dev/shm > {places[0]}/seen"
    _, ended, trace = run(["sh", "-c", seen], places[3], mode)
    assert (ended.exit_code, trace.mode) == (0, mode)
    assert (places[0] / "seen").read_text().split()[:2] == [".:", "seen"]
    assert [os.listdir(place) for place in places] == [["seen"], [], [], []]
    tell_tale = {name for folder, before in shared.items() for name in set(os.listdir(folder)) - before
                 if "roar" in name.lower() and "roar-story" not in name and "roar-test" not in name}
    assert tell_tale == set()


@pytest.mark.parametrize("tracer", ["/no/such/tracer", "/bin/false", "/etc/hostname"])
def test_without_a_tracer_the_command_runs_once_all_the_same(tracer, tmp_path, monkeypatch):
    monkeypatch.setattr(tracing, "_TRACER", tracer)
    traced, ended, trace = run(["sh", "-c", f"echo ran >> {tmp_path}/ran; exit 9"], tmp_path)
    assert ended.exit_code == 9
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert traced.mode == trace.mode == "none"
    assert traced.gaps[0].startswith("nothing was observed")


def test_a_log_that_cannot_be_made_is_no_reason_to_fail(tmp_path):
    traced = tracing.start(["sh", "-c", "exit 9"], log=tmp_path / "no" / "folder")
    assert traced.wait().exit_code == 9
    assert traced.mode == "none"
    assert traced.gaps == ("nothing was observed: the event log cannot be made (No such file or directory)",)


def test_without_a_log_the_command_still_hears_signals(tmp_path):
    """It has the mask of its parent, not that of the moment in which it is started."""
    seen = f"grep SigBlk /proc/self/status > {tmp_path}/mask"
    traced = tracing.start(["sh", "-c", seen], log=tmp_path / "no" / "folder")
    traced.wait()
    assert traced.mode == "none"
    blocked = int((tmp_path / "mask").read_text().split()[1], 16)
    assert blocked == sum(1 << (number - 1) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def test_without_the_library_auto_takes_seccomp(tmp_path, monkeypatch):
    monkeypatch.setattr(tracing, "_LIBRARY", "/no/such/library.so")
    traced, ended, _ = run(["true"], tmp_path, "auto")
    assert (traced.mode, ended.exit_code) == ("seccomp", 0)
    assert traced.gaps == ("full: the preload library is missing",)


def test_inside_another_roar_run_both_see(tmp_path):
    (tmp_path / "in.txt").write_text("x")
    inner = tmp_path / "inner.log"
    traced, ended, trace = run(
        [sys.executable, "-c", ROAR, str(inner), "auto", "cat", str(tmp_path / "in.txt")], tmp_path
    )
    assert (traced.mode, ended.exit_code) == ("full", 0)
    inner_trace = event_log.load_trace(inner)
    assert inner_trace.mode == "preload"
    for seen in (trace, inner_trace):
        assert str(tmp_path / "in.txt") in {event.path for event in seen.events}


def test_available_modes_are_asked_for_real(monkeypatch):
    assert set(tracing.available_modes()) == set(MODES)
    monkeypatch.setattr(tracing, "_LIBRARY", "/no/such/library.so")
    modes = tracing.available_modes()
    assert modes["seccomp"] is None
    assert modes["full"] == "The preload library is missing."
    assert modes["preload"] == "The preload library is missing."


PRINTS = """
import os, sys, subprocess
for i in range(50):
    print("line", i)
print("two before")
print("one before")
print("wandb: View run at https://host.example/e/p/runs/abc")
print("one after")
print("two after")
print("three after", flush=True)
os.write(2, b"View your run in the app:\\nhttps://host.example/wrap")
os.write(2, b"ped\\n")
os.environ["STORY_URL"] = "set in the program"
subprocess.run(["true"])
"""


@pytest.mark.parametrize("mode", MODES)
def test_console_lines_and_environment_of_children(mode, tmp_path, monkeypatch):
    monkeypatch.setenv("STORY_API_KEY", "hunter2")
    monkeypatch.setenv("OTHER", "not asked for")
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        _, _, trace = run(
            [sys.executable, "-c", PRINTS], tmp_path, mode, environment_names=["STORY_*", "HOME", "STORY_API_KEY"]
        )
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)
    out = [line.text for line in trace.console if line.descriptor == 1]
    assert out == [
        "two before",
        "one before",
        "wandb: View run at https://host.example/e/p/runs/abc",
        "one after",
        "two after",
    ]
    errors = [line.text for line in trace.console if line.descriptor == 2]
    assert errors == ["View your run in the app:", "https://host.example/wrapped"]
    child = next(process for process in trace.processes if process.argv == ("true",))
    assert child.environment["STORY_URL"] == "set in the program"
    assert set(child.environment) == {"STORY_URL", "HOME"}
    assert not any("hunter2" in str(process) for process in trace.processes)


@pytest.mark.parametrize("mode", MODES)
def test_secrets_do_not_reach_the_log(mode, tmp_path, monkeypatch):
    monkeypatch.setenv("STORY_URL", "https://me:hunter2@host.example/")
    monkeypatch.setenv("STORY_NOTE", "hf_" + "hunter2" * 4 + "abcdef")
    log = tmp_path / "log"
    script = "sleep 0 & python3 -c 'print(1)' --password hunter2 API_TOKEN=hunter2 --token=hunter2 >/dev/null; wait"
    traced = tracing.start(["sh", "-c", script.replace("hunter2", "$SECRET")], log=log, mode=mode)
    traced.wait()
    log.unlink()
    monkeypatch.setenv("SECRET", "hunter2")
    traced = tracing.start(["sh", "-c", script.replace("hunter2", "$SECRET")], log=log, mode=mode,
                           environment_names=["STORY_URL", "STORY_NOTE", "SECRET"])  # fmt: skip
    assert traced.wait().exit_code == 0
    kept = event_log.load_trace(log).processes[0].environment
    assert set(kept) == {"STORY_URL", "STORY_NOTE"}
    assert kept["STORY_URL"].endswith("@host.example/")
    assert b"--password" in log.read_bytes()
    assert b"hunter2" not in log.read_bytes()


@pytest.mark.parametrize("mode", MODES)
def test_the_tracer_is_not_found_by_the_commands_words(mode, tmp_path):
    """A job that cleans up with `pkill -9 -f` must not take guard and supervisor with it."""
    script = f"pgrep -f 'zebra-wor[d]' > {tmp_path}/found; echo $$ > {tmp_path}/own"
    _, ended, _ = run(["sh", "-c", script, "zebra-word"], tmp_path, mode)
    assert ended.exit_code == 0
    assert (tmp_path / "found").read_text() == (tmp_path / "own").read_text()


@pytest.mark.parametrize("mode", MODES)
def test_console_lines_are_bounded(mode, tmp_path):
    program = "import sys\nfor i in range(20000): print(f'http://example.org/{i}', 'x' * 5000, file=sys.stderr)"
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        _, ended, trace = run([sys.executable, "-c", program], tmp_path, mode)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
    assert ended.exit_code == 0
    assert len(trace.console) == 6000 if mode != "preload" else 100 < len(trace.console) <= 6000
    assert max(len(line.text) for line in trace.console) <= 512


@pytest.mark.parametrize("mode", MODES)
def test_process_tree(mode, tmp_path):
    _, _, trace = run(["sh", "-c", "cd /; (cat /etc/hostname; exit 3) | cat; true"], tmp_path, mode)
    shell = trace.processes[0]
    assert shell.argv[:2] == ("sh", "-c")
    assert shell.cwd == os.getcwd()
    cats = [process for process in trace.processes if process.argv[0] == "cat"]
    assert len(cats) == 2
    assert {process.cwd for process in cats} == {"/"}
    assert all(process.executable.endswith("/cat") for process in cats)
    if mode != "preload":
        pids = {process.pid for process in trace.processes}
        assert all(process.pid == shell.pid or process.ppid in pids for process in trace.processes)
        assert 3 in {process.exit_code for process in trace.processes}


FAMILY = """
import os, signal, subprocess, sys, time
if os.fork() == 0:
    open("/dev/null").close()
    os.execv("/bin/sh", ["sh", "-c", "exit 5"])
if os.fork() == 0:
    open("child", "w").close()
    kept = bytearray(80_000_000)
    while time.process_time() < 0.3:
        pass
    os._exit(3)
if (pid := os.fork()) == 0:
    open("killed", "w").close()
    while True:
        time.sleep(9)
while not os.path.exists("killed"):
    time.sleep(0.01)
os.kill(pid, signal.SIGTERM)
for _ in range(3):
    os.wait()
subprocess.run(["sh", "-c", "kill -KILL $$"])
sys.exit(6)
"""
LINUX = tuple(int(part) for part in os.uname().release.split(".")[:2])


@pytest.mark.parametrize("mode", MODES)
def test_exit_status_and_resource_use_of_each_process(mode, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, ended, trace = run([sys._base_executable, "-c", FAMILY], tmp_path, mode)
    assert ended.exit_code == 6
    by_code = {process.exit_code: process for process in trace.processes}
    assert {3, 5, 6} <= set(by_code)
    assert by_code[6] is trace.processes[0]
    assert by_code[5].argv == ("sh", "-c", "exit 5")
    worker = by_code[3]
    assert worker.argv[1] == "-c"
    assert 80_000_000 < worker.max_rss < 200_000_000
    assert 0.25 < worker.user_s + worker.system_s < 1
    assert by_code[6].user_s + by_code[6].system_s < 0.25, "without its children"
    assert by_code[5].user_s + by_code[5].system_s < 0.1
    if mode != "preload" and LINUX >= (6, 15):
        assert {128 + signal.SIGTERM, 128 + signal.SIGKILL} <= set(by_code)
        assert len(trace.processes) == 5


@pytest.mark.parametrize("mode", MODES)
def test_order_across_processes(mode, tmp_path):
    """A file written by one process and read by the next, a hundred times over."""
    script = f"cd {tmp_path}; for i in $(seq 100); do echo $i > turn; cat turn > turn-$i; done"
    _, _, trace = run(["bash", "-c", script], tmp_path, mode)
    steps = [
        ("write" if event.flags & 3 else "read")
        for event in trace.events
        if event.path == str(tmp_path / "turn") and event.kind == 1
    ]
    assert steps == ["write", "read"] * 100


def test_unwritable_folder_of_an_ordinary_user_is_not_claimed(tmp_path):
    if os.getuid() != 0:
        pytest.skip("needs root")
    folder = Path("/dev/shm") / f"roar-test-{os.getpid()}"
    folder.mkdir(mode=0o755)
    os.chown(folder, 65534, 65534)
    (folder / "mine").write_text("root's")
    try:
        program = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        traced, ended, trace = run([*program, "sh", "-c", f"cat {folder}/mine; echo x > {folder}/mine"], tmp_path)
        assert (traced.mode, ended.exit_code) == ("full", 2)
        paths = [event for event in trace.events if event.path == str(folder / "mine")]
        assert any(event.flags & 3 == 0 for event in paths)
        assert not any(event.flags & 3 and event.result is not None for event in paths)
    finally:
        (folder / "mine").unlink()
        folder.rmdir()
