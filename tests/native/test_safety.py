"""The tracer must never hurt the command: each test does the thing that could."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from roar.observe import log as event_log
from roar.observe import tracing
from roar.observe.trace import EventKind

PROGRAMS = Path(__file__).parent / "programs"
MODES = ("full", "seccomp", "preload")
FILTER_MODES = ("full", "seccomp")


@pytest.fixture
def story_folder(quick_story_folder):
    return quick_story_folder


ROAR = textwrap.dedent("""
    import sys
    from pathlib import Path
    from roar.observe import tracing
    traced = tracing.start(sys.argv[3:], log=Path(sys.argv[1]), mode=sys.argv[2])
    print("pid", traced.pid, flush=True)
    print("exit", traced.wait().exit_code, flush=True)
""")


def start_roar(mode, folder, *command):
    return subprocess.Popen(
        [sys.executable, "-c", ROAR, str(folder / "event.log"), mode, *map(str, command)],
        cwd=folder, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def wait_until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    return tracing._state_of(pid) in ("", "Z")


def written(trace) -> set[str]:
    return {os.path.basename(event.path) for event in trace.events if event.kind is EventKind.OPEN and event.flags & 3}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("victim", ["roar", "supervisor", "guard"])
def test_sigkill_amid_opens_leaves_the_command_whole(mode, victim, build, story_folder):
    folder = story_folder("root")
    roar = start_roar(mode, folder, build(PROGRAMS / "many_opens.c"), 8, 6250)
    command = int(roar.stdout.readline().split()[1])
    supervisor = parent_of(command)
    guard = parent_of(supervisor)
    wait_until(lambda: len(os.listdir(folder)) > 500)
    os.kill({"roar": roar.pid, "supervisor": supervisor, "guard": guard}[victim], signal.SIGKILL)
    if victim == "roar":
        roar.wait()
        wait_until(lambda: is_gone(command))
        wait_until(lambda: event_log.load_ended(folder / "event.log") is not None)
    else:
        assert roar.stdout.read().split() == ["exit", "7"]
        roar.wait()
    roar.stdout.close()
    assert all((folder / f"done-{p}").exists() for p in range(8))
    trace = event_log.load_trace(folder / "event.log")
    assert event_log.load_ended(folder / "event.log").exit_code == 7
    assert ("supervisor was killed" in trace.gaps) == (victim == "supervisor")
    assert {f"done-{p}" for p in range(8)} <= written(trace)
    opened = [event for event in trace.events if event.flags & 3 and "/p" in event.path]
    most = 8 * 6250 // (2 if mode == "preload" else 1)
    at_that_instant = 2 if victim == "supervisor" and mode != "preload" else 0
    assert most - at_that_instant <= len(opened) <= most


@pytest.mark.parametrize("mode", MODES)
def test_a_daemon_works_on_after_the_command_has_ended(mode, build, story_folder):
    folder = story_folder("root")
    log = folder / "event.log"
    cwd = os.getcwd()
    os.chdir(folder)
    try:
        started = time.monotonic()
        traced = tracing.start([str(build(PROGRAMS / "daemon.c")), "6"], log=log, mode=mode)
        assert traced.wait().exit_code == 0
    finally:
        os.chdir(cwd)
    assert time.monotonic() - started < 4
    event_log.load_trace(log)
    log.unlink()
    wait_until(lambda: (folder / "daemon-done").exists() or (folder / "daemon-failed").exists(), 30)
    assert not (folder / "daemon-failed").exists()
    wait_until(lambda: not [pid for pid in tracers() if f"{log}" in command_line(pid)], 10)


def tracers() -> list[str]:
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and "roar-tracer" in command_line(pid)]


def command_line(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


@pytest.fixture
def small_disk(open_folder):
    if os.getuid() != 0:
        pytest.skip("needs root to mount")
    folder = open_folder / "small-disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=72m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


@pytest.mark.parametrize("mode", MODES)
def test_a_disk_that_fills_up_costs_events_not_the_command(mode, small_disk, build, story_folder, monkeypatch):
    folder = story_folder("root")
    log = small_disk / "event.log"
    monkeypatch.chdir(folder)
    count = "100000" if mode == "preload" else "25000"
    traced = tracing.start([str(build(PROGRAMS / "many_opens.c")), "4", count], log=log, mode=mode)
    (small_disk / "ballast").write_bytes(bytes(66 << 20))
    assert traced.wait().exit_code == 7
    trace = event_log.load_trace(log)
    assert any(gap.endswith("the event log could not grow") for gap in trace.gaps), trace.gaps
    assert len(trace.events) > 1000


def test_a_full_disk_from_the_start(small_disk, build, story_folder, monkeypatch):
    folder = story_folder("root")
    monkeypatch.chdir(folder)
    with pytest.raises(OSError, match="No space"):
        (small_disk / "ballast").write_bytes(bytes(80 << 20))
    traced = tracing.start([str(build(PROGRAMS / "many_opens.c")), "1", "10"], log=small_disk / "event.log")
    assert traced.wait().exit_code == 7
    assert traced.mode == "none"
    assert traced.gaps[0].startswith("nothing was observed")


@pytest.mark.parametrize("mode", MODES)
def test_short_lived_children(mode, build, story_folder, run_traced):
    folder = story_folder("root")
    outcome = run_traced([str(build(PROGRAMS / "children.c")), "5000"], folder, mode)
    assert outcome.exit_code == 0, outcome.output
    missed = {f"child-{i}" for i in range(5000)} - written(outcome.trace)
    assert missed == set(), outcome.trace.gaps
    assert len({process.pid for process in outcome.trace.processes}) == 5001


@pytest.mark.parametrize("mode", MODES)
def test_a_tracer_that_gets_no_processor_loses_nothing(mode, build, story_folder, monkeypatch):
    """A busy machine, or a slow disk under the log: what must be written waits for it."""
    folder = story_folder("root")
    monkeypatch.chdir(folder)
    traced = tracing.start([str(build(PROGRAMS / "children.c")), "2000"], log=folder / "event.log", mode=mode)
    supervisor = parent_of(traced.pid)
    for _ in range(4):
        before = len(os.listdir(folder))
        wait_until(lambda before=before: len(os.listdir(folder)) > before + 20 or is_gone(traced.pid))
        if is_gone(traced.pid):
            break
        os.kill(supervisor, signal.SIGSTOP)
        time.sleep(0.3)
        os.kill(supervisor, signal.SIGCONT)
    assert traced.wait().exit_code == 0
    trace = event_log.load_trace(folder / "event.log")
    assert {f"child-{i}" for i in range(2000)} - written(trace) == set(), trace.gaps
    assert trace.gaps == (("programs that do not load the preload library",) if mode == "preload" else ())


def test_without_any_tracer_left_the_command_goes_on_in_preload_mode(build, story_folder, monkeypatch):
    folder = story_folder("root")
    monkeypatch.chdir(folder)
    log = folder / "event.log"
    traced = tracing.start([str(build(PROGRAMS / "many_opens.c")), "8", "20000"], log=log, mode="preload")
    supervisor = parent_of(traced.pid)
    guard = parent_of(supervisor)
    os.kill(guard, signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    traced.wait()
    assert "tracer was killed" in traced.gaps
    assert all((folder / f"done-{p}").exists() for p in range(8))
    trace = event_log.load_trace(log)
    assert any(gap.endswith("the event log could not grow") for gap in trace.gaps)
    assert "the end of the command was not seen" in trace.gaps


@pytest.mark.parametrize("mode", FILTER_MODES)
def test_a_call_that_cannot_be_looked_at_does_not_hold_up_the_command(mode, build, story_folder, run_traced):
    """Looking at its path waits for a thread whose own call waits to be looked at."""
    outcome = run_traced([str(build(PROGRAMS / "fills_memory.c"))], story_folder("root"), mode, timeout=30)
    if outcome.exit_code == 77:
        pytest.skip("userfaultfd is switched off on this machine")
    assert outcome.exit_code == 0, outcome.output
    assert {"out.txt", "after.txt"} <= written(outcome.trace)
    assert [gap.partition(" ")[2] for gap in outcome.trace.gaps] == ["calls could not be read"]


@pytest.mark.parametrize("mode", MODES)
def test_256_threads(mode, build, story_folder, run_traced):
    outcome = run_traced([str(build(PROGRAMS / "many_threads.c"))], story_folder("root"), mode)
    assert outcome.exit_code == 0, outcome.output
    expected = {f"thread-{t}-{i}" for t in range(256) for i in range(40) if mode != "preload" or i % 4}
    assert expected <= written(outcome.trace)
    pids = {event.pid for event in outcome.trace.events if "/thread-" in event.path}
    assert len(pids) == 1


@pytest.mark.parametrize("mode", FILTER_MODES)
@pytest.mark.parametrize("how", [[], ["prctl"]])
@pytest.mark.parametrize("user", ["root", "user"])
def test_a_program_with_a_sandbox_of_its_own(how, mode, user, build, story_folder, run_traced):
    outcome = run_traced([str(build(PROGRAMS / "own_filter.c")), *how], story_folder(user), mode, user=user)
    assert outcome.exit_code == 0, outcome.output
    assert {"out.txt", "many.txt"} <= written(outcome.trace)
    assert any(event.kind is EventKind.RENAME for event in outcome.trace.events)


@pytest.mark.parametrize(("mode", "exit_code"), [("full", 99), ("seccomp", 99), ("preload", 0)])
def test_strict_mode_cannot_be_had_under_a_filter(mode, exit_code, build, story_folder, run_traced):
    """A limit of the kernel's, told in docs/tracer.md."""
    outcome = run_traced([str(build(PROGRAMS / "strict_sandbox.c"))], story_folder("root"), mode)
    assert outcome.exit_code == exit_code, outcome.output
    assert exit_code == 0 or "Invalid argument" in outcome.output


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("program", ["alarms", "vfork_threads", "closes_all"])
def test_awkward_programs(program, mode, build, story_folder, run_traced):
    outcome = run_traced([str(build(PROGRAMS / f"{program}.c"))], story_folder("root"), mode)
    assert outcome.exit_code == 0, outcome.output
    assert "had" not in outcome.output
    expected = {
        "alarms": {f"alarm-{i}" for i in range(100) if mode != "preload" or i % 2},
        "vfork_threads": {f"vfork-{t}-{i}" for t in range(16, 20) for i in range(400)},
        "closes_all": {"out.txt"},
    }[program]
    assert expected <= written(outcome.trace)
    if program == "alarms" and mode != "preload":
        made = [event for event in outcome.trace.events if "/alarm-" in event.path]
        assert len(made) == 20000, "a call that an alarm interrupts is made, and recorded, once"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to install a set-uid program")
@pytest.mark.parametrize("mode", MODES)
def test_a_set_uid_program(mode, build, story_folder, run_traced, open_folder):
    program = open_folder / f"set-uid-{mode}"
    shutil.copy(build(PROGRAMS / "set_uid.c"), program)
    os.chown(program, 0, 0)
    program.chmod(0o4755)
    assert program.stat().st_mode & stat.S_ISUID
    outcome = run_traced(["sh", "-c", str(program)], story_folder("user"), mode, user="user")
    assert outcome.exit_code == 0, outcome.output
    gap = "a set-uid program ran without its privileges"
    expected = ("0", False) if mode == "preload" else ("65534", True)
    assert (outcome.output.strip(), gap in outcome.trace.gaps) == expected


TOOLS = {
    "gdb": ["gdb", "-q", "-batch", "-ex", "run", "-ex", "print 6*7", "--args", "/bin/cat", "in.txt"],
    "strace": ["strace", "-f", "-o", "trace.out", "/bin/cat", "in.txt"],
    "node": ["node", "-e", "require('fs').writeFileSync('out.txt', require('fs').readFileSync('in.txt'))"],
    "keytool": [
        "keytool", "-genseckey", "-alias", "a", "-keyalg", "AES", "-keysize", "128", "-storepass", "changeit",
        "-keystore", "out.txt",
    ],  # a Java program that comes with every Java
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tool", TOOLS)
def test_tools(tool, mode, story_folder, run_traced):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    outcome = run_traced(TOOLS[tool], story_folder("root"), mode)
    assert outcome.exit_code == 0, outcome.output
    paths = {os.path.basename(event.path) for event in outcome.trace.events}
    if tool in ("gdb", "strace"):
        assert "in.txt" in paths
    if tool == "node" and mode != "preload":
        assert {"in.txt", "out.txt"} <= paths
    if tool == "keytool":
        assert "out.txt" in written(outcome.trace)
    if tool == "gdb":
        assert "$1 = 42" in outcome.output


@pytest.mark.parametrize("mode", MODES)
def test_headless_chromium(mode, story_folder, run_traced):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    folder = story_folder("root")
    (folder / "page.html").write_text("<p id=x>before</p><script>x.textContent = 'af' + 'ter'</script>")
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"]
    outcome = run_traced([*command, "--dump-dom", f"file://{folder}/page.html"], folder, mode)
    assert outcome.exit_code == 0, outcome.output
    assert "after" in outcome.output
    assert any(event.path.endswith("page.html") for event in outcome.trace.events)
