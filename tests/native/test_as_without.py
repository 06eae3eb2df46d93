"""What a job may do besides opening files: each case runs once without the tracer and once in every mode, ends alike
and prints alike, and what it wrote is seen."""

import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from roar.observe import tracing

MODES = ("full", "seccomp", "preload")
NO_LIBRARY = "programs that do not load the preload library"
MOUNTS = "mounts of the command's own: some paths may lead elsewhere outside it"
JEMALLOC = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"


@dataclass(frozen=True)
class Case:
    """`code` is for bash, or for Python where it has a line `import`."""

    code: str
    writes: str = ""  # names, separated by blanks
    preload_misses: str = ""
    needs: str = ""  # programs and files
    gap: str = ""  # in the modes with a filter


CASES = {
    # how training frameworks start their workers
    "fork": Case("""
        import multiprocessing, os
        def work(i):
            open(f"w{i}", "w").write(open("in.txt").read())
            return os.getppid() == parent
        parent = os.getpid()
        with multiprocessing.get_context("fork").Pool(4) as pool:
            print(sum(pool.map(work, range(20))))
    """, "w0 w19"),
    "spawn": Case("""
        import multiprocessing, sys
        multiprocessing.set_executable(sys.executable)
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=exec, args=("open('w', 'w').close(); raise SystemExit(5)",))
        process.start(); process.join(); print(process.exitcode)
        from multiprocessing import resource_tracker
        resource_tracker._resource_tracker._stop()  # else it ends a moment after this process
    """, "w"),
    "forkserver and shared memory": Case("""
        import multiprocessing
        from multiprocessing import shared_memory
        memory = shared_memory.SharedMemory(create=True, size=8)
        code = f"from multiprocessing import shared_memory as s; m = s.SharedMemory({memory.name!r}); m.buf[0] = 9"
        process = multiprocessing.get_context("forkserver").Process(target=exec, args=(code + "; open('w', 'w')", {}))
        process.start(); process.join(); print(process.exitcode, memory.buf[0])
        memory.close(); memory.unlink()
        from multiprocessing import forkserver, resource_tracker
        forkserver._forkserver._stop(); resource_tracker._resource_tracker._stop()
    """, "w"),
    "a launcher of ranks": Case("""
        import os, subprocess, sys
        code = "import os; open('rank-' + os.environ['RANK'], 'w').close(); raise SystemExit(int(os.environ['RANK']))"
        ranks = [subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "RANK": str(r)},
                                  start_new_session=True, close_fds=True) for r in range(4)]
        print([rank.wait() for rank in ranks])
    """, "rank-0 rank-3"),
    "200 threads that start programs": Case("""
        import subprocess, threading
        threads = [threading.Thread(target=subprocess.run, args=(["cp", "in.txt", f"t{i}"],)) for i in range(200)]
        [t.start() for t in threads]; [t.join() for t in threads]; print(len(threads))
    """, "t0 t199"),
    "a program that changes the preloaded libraries": Case(
        f"LD_PRELOAD={JEMALLOC}:$LD_PRELOAD sh -c 'grep -c jemalloc /proc/self/maps >/dev/null; echo x > o'", "o",
        needs=JEMALLOC),
    "one that removes them": Case("LD_PRELOAD= sh -c 'echo x > o'", "o", preload_misses="o"),
    # signals, sessions, parents
    "nohup": Case("nohup sh -c 'sleep 0.1; echo x > o' >/dev/null 2>&1 & wait", "o"),
    "setsid": Case("setsid -w sh -c 'echo x > o; exit 4'", "o"),
    "a signal to the process group": Case("""
        import os, signal
        signal.signal(signal.SIGTERM, lambda *_: open("o", "w").close())
        os.setpgid(0, 0); os.killpg(0, signal.SIGTERM); print("alive")
    """, "o"),
    "children nobody waits for": Case("""
        import os, signal, time
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        if os.fork() == 0:
            open("o", "w").close(); os._exit(4)
        try:
            os.wait()
        except ChildProcessError:
            print("none")
    """, "o"),
    "a subreaper of its own": Case("""
        import ctypes, os, time
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
        if os.fork() == 0:
            if os.fork() == 0:
                time.sleep(0.2); open("o", "w").close(); os._exit(7)
            os._exit(0)
        print(sorted(os.wait()[1] >> 8 for _ in range(2)))
    """, "o"),
    "a very deep process tree": Case(
        "echo 'if [ $1 -gt 0 ]; then sh deep $(($1 - 1)); else echo x > o; fi' > deep; sh deep 200", "o"),
    "a crash": Case("ulimit -c 0; (sh -c 'echo x > o; kill -SEGV $$'); exit $?", "o"),
    "a time limit": Case("timeout 0.3 sh -c 'echo x > o; sleep 5'", "o"),
    # limits
    "few descriptors, all used": Case("""
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
        kept = []
        try:
            while True:
                kept.append(open(f"f{len(kept)}", "w"))
        except OSError as error:
            print(error.errno, len(kept))
        kept.pop().close()
        open("late", "w").close()
    """, "f0 f9 late"),
    "little address space": Case("""
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))
        for i in range(2000):
            open(f"f{i % 500}", "w").close()
        try:
            bytearray(300 << 20)
        except MemoryError:
            print("none left")
    """, "f0 f499"),
    "a limit on the size of files": Case("""
        import resource, signal
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        signal.signal(signal.SIGXFSZ, lambda *_: print("too large"))
        for i in range(50000):
            open(f"f{i % 500}", "w").close()
        with open("big", "wb", 0) as file:
            print(file.write(bytes(5000)))
            try:
                file.write(b"x")
            except OSError as error:
                print(error.errno)
    """, "f0 f499 big"),
    "a limit on processor time": Case("(ulimit -t 1; sh -c 'echo x > o; while :; do :; done'); echo $?", "o"),
    "a small stack": Case("ulimit -s 256; sh -c 'cp in.txt o'", "o"),
    "a very long command line": Case("sh -c 'echo ${#1} > o' x $(head -c 120000 /dev/zero | tr '\\0' x); cat o", "o"),
    # kinds of files and descriptors
    "closed streams": Case("exec 0<&- 1>&- 2>&-; ls /proc/self/fd > o", "o"),
    "a pipe with a name": Case("mkfifo p; (sleep 0.1; echo hi > p) & cat p > o; wait; cat o", "o"),
    "what cannot be read": Case("""
        import os, socket
        socket.socket(socket.AF_UNIX).bind("s")
        for name, flags in (("s", 0), ("in.txt", os.O_DIRECTORY), ("missing", 0), (".", os.O_WRONLY), ("x" * 300, 0)):
            try:
                os.open(name, flags)
            except OSError as error:
                print(name[:9], error.errno)
        handle = os.open("in.txt", os.O_PATH)
        print(os.read(os.open(f"/dev/fd/{handle}", os.O_RDONLY), 9), os.read(os.open("/dev/zero", 0), 2))
    """),
    "a sparse file of six gigabytes": Case("""
        import os
        with open("o", "wb") as file:
            file.seek(6 << 30); file.write(b"x")
        print(os.path.getsize("o"), os.stat("o").st_blocks < 1000)
    """, "o"),
    "locks stay when the file is opened again": Case("""
        import fcntl, os
        held = open("o", "w"); fcntl.lockf(held, fcntl.LOCK_EX)
        again = [os.open("o", os.O_RDONLY) for _ in range(3)]
        if os.fork() == 0:
            try:
                fcntl.lockf(open("o", "r+"), fcntl.LOCK_EX | fcntl.LOCK_NB); print("lost", flush=True)
            except OSError:
                print("held", flush=True)
            os._exit(0)
        os.wait()
    """, "o"),
    "watching a folder": Case("""
        import ctypes, os
        libc = ctypes.CDLL(None); watch = libc.inotify_init1(os.O_NONBLOCK); libc.inotify_add_watch(watch, b".", 0xfff)
        open("o", "w").close(); open("in.txt").read()
        events = os.read(watch, 9999); print(len(events), events.count(b"in.txt"))
    """, "o"),
    # another root, other mounts, other numbers, other users
    "a mount namespace": Case("unshare -m sh -c 'cat in.txt > o'", "o"),
    "a pid namespace": Case("unshare -p -f --mount-proc sh -c 'cat in.txt > o; echo $$'", "o"),
    "a user namespace": Case("unshare -U -r -m -p -f sh -c 'cat in.txt > o; id -u'", "o"),
    "a bind mount": Case("mkdir a b; unshare -m sh -c 'mount --bind a b; echo x > b/o; cat b/o'", "o", gap=MOUNTS),
    "an overlay": Case("mkdir l w m; echo l > l/a; unshare -m sh -c 'mount -t tmpfs t w; mkdir w/u w/w;"
                       " mount -t overlay -o lowerdir=l,upperdir=w/u,workdir=w/w o m; cat m/a; echo n > m/o'", "o",
                       gap=MOUNTS),
    "a container": Case(
        "bwrap --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --proc"
        " /proc --dev /dev --bind . /work --chdir /work --unshare-all sh -c 'cat in.txt > o; pwd; ls /'", "o",
        preload_misses="o", needs="bwrap", gap=MOUNTS),
    "a chroot": Case(
        "mkdir -p r/bin r/lib64 r/lib/x86_64-linux-gnu; cp /bin/dash r/bin/sh; cp /lib64/ld-linux-x86-64.so.2 r/lib64;"
        "cp /lib/x86_64-linux-gnu/libc.so.6 r/lib/x86_64-linux-gnu/; chroot r /bin/sh -c 'echo x > /o; read a < /o'",
        "o", preload_misses="o"),
    "another user": Case("chmod 777 .; setpriv --reuid=65534 --regid=65534 --clear-groups sh -c 'id -u; echo x > o'",
                         "o", preload_misses="o"),
    # everyday programs
    "tools": Case(
        "mkdir d; echo 1 > d/a; tar cf t.tar d; mkdir e; tar xf t.tar -C e; cat e/d/a; install in.txt i.txt; "
        "dd if=in.txt of=dd.txt status=none; sort -o s.txt in.txt; sed -i s/i/j/ in.txt; cat in.txt; ln -s in.txt l; "
        "seq 9 | xargs -P 4 -I{} cp in.txt x{}; find . -name 'x*' -exec cp {} {}y ';'; ls x* | wc -l",
        "t.tar a i.txt dd.txt s.txt x9 x9y"),
    "a compiler": Case("echo 'int main(void) { return 3; }' > a.c; gcc a.c; ./a.out; echo $?", "a.c a.out"),
    "a database": Case("""
        import sqlite3
        base = sqlite3.connect("o.db"); base.execute("pragma journal_mode=wal"); base.execute("create table t(a)")
        base.execute("insert into t values(1)"); base.commit(); print(base.execute("select * from t").fetchall())
    """, "o.db"),
    "a terminal": Case("script -qec \"sh -c 'echo x > o; tty | tr -d 0-9'\" /dev/null", "o"),
}  # fmt: skip


def command_of(case: Case) -> list[str]:
    code = textwrap.dedent(case.code)
    return [sys.executable, "-c", code] if "import " in code else ["bash", "-c", code]


def lines_of(output: str, folder: Path) -> list[str]:
    """Without what differs from run to run: process numbers in bash's words, the folder."""
    lines = output.replace(str(folder), "FOLDER").splitlines()
    return sorted(line for line in lines if not line.startswith("bash: line"))


@pytest.mark.skipif(os.getuid() != 0, reason="needs root for namespaces, chroot and another user")
@pytest.mark.parametrize("name", CASES)
def test_as_without(name, story_folder, run_traced):
    case = CASES[name]
    for need in case.needs.split():
        if not (os.path.exists(need) or shutil.which(need)):
            pytest.skip(f"{need} is not installed")
    folder = story_folder("root")
    native = subprocess.run(command_of(case), cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    for mode in MODES:
        folder_traced = story_folder("root")
        outcome = run_traced(command_of(case), folder_traced, mode, timeout=60)
        missed = set(case.preload_misses.split()) if mode == "preload" else set()
        assert outcome.exit_code == native.returncode % 256 or native.returncode < 0, (mode, outcome.output)
        found = lines_of(outcome.output, folder_traced)
        if missed:  # the loader may say that the library is not to be found
            found = [line for line in found if not line.startswith("ERROR: ld.so")]
        assert found == lines_of(native.stdout + native.stderr, folder), mode
        seen = {os.path.basename(path) for event in outcome.trace.events for path in (event.path, event.path2)}
        assert set(case.writes.split()) - seen == missed, mode
        gap = NO_LIBRARY if mode == "preload" else case.gap
        assert outcome.trace.gaps == ((gap,) if gap else ()), mode


KINDS = {
    "static-pie": ["-static-pie"], "address": ["-fsanitize=address"], "undefined": ["-fsanitize=undefined"],
    "thread": ["-fsanitize=thread"], "bound at once": ["-Wl,-z,now"],
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_programs(kind, mode, open_folder, story_folder, run_traced):
    source = open_folder / "kind.c"
    source.write_text("""#include <stdio.h>
        int main(void) { char t[9]; FILE *i = fopen("in.txt", "r"), *o = fopen("out.txt", "w");
        return !(i && o && fgets(t, 9, i) && fputs(t, o) >= 0 && fclose(o) == 0); }""")
    program = open_folder / f"kind-{kind.replace(' ', '-')}"
    if not program.exists():
        subprocess.run(["gcc", "-o", str(program), str(source), *KINDS[kind]], check=True)
    outcome = run_traced([str(program)], story_folder("root"), mode)
    assert (outcome.exit_code, outcome.output) == (0, "")
    seen = {os.path.basename(event.path) for event in outcome.trace.events}
    assert ({"in.txt", "out.txt"} <= seen) == (mode != "preload" or kind != "static-pie")


def test_a_limit_on_processor_time_that_the_tracer_would_not_outlive(story_folder):
    """Without a supervisor, calls that the filter stops would fail: such a job gets no filter."""
    folder = story_folder("user")
    reader, writer = os.pipe()
    tracer = [tracing._TRACER, "--log", f"{folder}/log", "--mode", "auto", "--library", tracing._LIBRARY, "--canary",
              tracing._CANARY, "--status", str(writer), "--", "sh", "-c", "ulimit -t; ulimit -n"]  # fmt: skip
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
    limits = ["bash", "-c", 'ulimit -t 60; ulimit -S -n 100; exec "$@"', "limits", *tracer]
    done = subprocess.run([*(user if os.getuid() == 0 else []), *limits], cwd=folder, pass_fds=[writer],
                          capture_output=True, text=True, check=True)  # fmt: skip
    os.close(writer)
    with os.fdopen(reader) as file:
        words = file.readline()
    assert " preload 0 full: the limit on processor time (ulimit -t) could end the tracer" in words
    assert done.stdout == "60\n100\n", "the command has the limits that were set"
