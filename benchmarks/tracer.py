"""What observing costs: ratios to the same load run natively, all in one interleaved run.

    python benchmarks/tracer.py [--repeat N] [--only NAME] [--others] [--long] [--markdown FILE]

Each load runs once natively and once under each tracer, N times over in turn, so that a busy moment of the machine
meets all of them. The figure is the median of the time over the median of the native time; a tracer's own start and
end are included. The processor time is that of the command and its children alone, without the supervisor's.
`kernel alone` is benchmarks/floor.c: what any tracer by seccomp user notification must take. `--others` adds strace,
roar-cli's tracers alone where ROAR_CLI_TRACERS is the folder of its roar-tracer programs, and reprozip where
REPROZIP is its program.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from roar.observe import tracing

OPEN_CLOSE = """
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    int count = atoi(argv[1]), processes = atoi(argv[2]);
    for (int p = 1; p < processes; p++)
        if (fork() == 0)
            break;
    for (int i = 0; i < count; i++) {
        int fd = open("one.txt", O_RDONLY);
        if (fd < 0)
            return 1;
        close(fd);
    }
    while (wait(NULL) > 0)
        continue;
    return 0;
}
"""

CREATE_UNLINK = """
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char name[32];
    for (int i = 0; i < atoi(argv[1]); i++) {
        snprintf(name, sizeof name, "new-%d", i);
        int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (fd < 0 || write(fd, "x", 1) != 1)
            return 1;
        close(fd);
        unlink(name);
    }
    return 0;
}
"""

FORK_EXEC = """
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    for (int i = 0; i < atoi(argv[1]); i++) {
        pid_t pid = fork();
        if (pid == 0) {
            execl("/bin/true", "true", (char *)NULL);
            _exit(1);
        }
        waitpid(pid, NULL, 0);
    }
    return 0;
}
"""

READ_SMALL_FILES = """
import sys
for i in range(20000):
    with open(f"small/{i // 1000}/{i}.txt", "rb") as file:
        file.read()
"""

TRAIN = """
import time
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
import joblib
x, y = load_digits(return_X_y=True)
model = MLPClassifier((256, 256), max_iter=1, warm_start=True, random_state=0)
import warnings; warnings.filterwarnings("ignore")
for epoch in range(EPOCHS):
    model.fit(x, y)
    print("epoch", epoch, model.loss_)
    joblib.dump(model, "model.joblib")
"""


LONG_REPEAT = 3  # a load of a minute is run so often at most, in mode full alone

Runner = Callable[[list[str], Path], float]


@dataclass(frozen=True)
class Load:
    name: str
    command: list[str]
    bound: float | None
    long: bool = False


def compile_program(folder: Path, name: str, source: str, *flags: str) -> str:
    path = folder / f"{name}.c"
    path.write_text(source)
    subprocess.run(["gcc", "-O2", "-o", str(folder / name), str(path), *flags], check=True)
    return str(folder / name)


def make_loads(folder: Path, *, long: bool, opened: int) -> list[Load]:
    (folder / "one.txt").write_text("x")
    for i in range(20000):
        path = folder / "small" / str(i // 1000) / f"{i}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("some text\n" * 10)
    subprocess.run("git init -q . && git add small && git -c user.name=x -c user.email=x@x commit -qm x",
                   shell=True, cwd=folder, check=True)  # fmt: skip
    opens = compile_program(folder, "opens", OPEN_CLOSE)
    static = compile_program(folder, "opens-static", OPEN_CLOSE, "-static")
    creates = compile_program(folder, "creates", CREATE_UNLINK)
    forks = compile_program(folder, "forks", FORK_EXEC)
    python = os.path.realpath(sys.executable)
    loads = [
        Load(f"{opened:,} x open+close, dynamic C", [opens, str(opened), "1"], 1.15),
        Load("the same, static binary", [static, str(opened), "1"], 3.5),
        Load("20,000 small files read in Python", [python, "-S", "-c", READ_SMALL_FILES], 1.10),
        Load("100,000 x create+write+close+unlink", [creates, "100000"], 1.10),
        Load("4 processes x 100,000 opens", [opens, "100000", "4"], 1.10),
        Load("2,000 x fork + exec /bin/true", [forks, "2000"], 1.30),
        Load("git status, 20,000 files", ["git", "status", "--short"], 1.03),
        Load("python3 -c pass", [python, "-c", "pass"], 1.15),
    ]
    own = sys.executable
    if subprocess.run([own, "-c", "import numpy, pandas"], check=False, capture_output=True).returncode == 0:
        loads.append(Load("import numpy, pandas", [own, "-c", "import numpy, pandas"], 1.05))
    if long and subprocess.run([own, "-c", "import sklearn"], check=False, capture_output=True).returncode == 0:
        loads.append(Load("training, scikit-learn", [own, "-c", TRAIN.replace("EPOCHS", "1800")], 1.01, long=True))
    return loads


def run_native(command: list[str], _scratch: Path) -> float:
    """Returns the processor time of the command, as the tracer's runs do."""
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=quiet())
    _, status, use = os.wait4(pid, 0)
    assert status == 0, command
    return use.ru_utime + use.ru_stime


def quiet() -> list[tuple[int, int, str, int, int]]:
    return [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]


def run_ours(mode: str) -> Runner:
    def run(command: list[str], scratch: Path) -> float:
        log = scratch / "event.log"
        ended = tracing.start(command, log=log, mode=mode).wait()
        assert ended.exit_code == 0, command
        log.unlink()
        return ended.user_s + ended.system_s

    return run


def run_prefixed(*prefix: str) -> Runner:
    def run(command: list[str], _scratch: Path) -> float:
        subprocess.run([*prefix, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return 0.0

    return run


def run_floor(program: str) -> Runner:
    def run(command: list[str], _scratch: Path) -> float:
        pid = os.posix_spawn(program, [program, *command], os.environ, file_actions=quiet())
        assert os.waitpid(pid, 0)[1] == 0, command
        return 0.0

    return run


def make_tracers(*, others: bool, scratch: Path) -> dict[str, Runner]:
    floor = compile_program(scratch, "floor", (Path(__file__).parent / "floor.c").read_text())
    tracers = {"full": run_ours("full"), "seccomp": run_ours("seccomp"), "preload": run_ours("preload"),
               "kernel alone": run_floor(floor)}
    if others:
        if shutil.which("strace"):
            tracers["strace -f"] = run_prefixed(
                "strace", "-f", "-qq", "-o", str(scratch / "strace.out"), "-e", "trace=%file,%process"
            )
        if folder := os.environ.get("ROAR_CLI_TRACERS"):
            for mode, program in (("preload", "-preload"), ("ptrace", ""), ("ebpf", "-ebpf")):
                path = os.path.join(folder, f"roar-tracer{program}")
                tracers[f"roar-cli {mode}"] = run_prefixed(path, str(scratch / f"roar-cli-{mode}"))
        if reprozip := os.environ.get("REPROZIP"):
            tracers["reprozip"] = run_prefixed(reprozip, "trace", "--overwrite", "-d", str(scratch / "reprozip"))
    return tracers


@contextmanager
def silent_stdout() -> Iterator[None]:
    """Native and traced commands alike write nowhere."""
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(null)
        os.close(kept)


def measure(load: Load, tracers: dict[str, Runner], repeat: int, scratch: Path) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in ("native", *tracers)}
    processor: dict[str, list[float]] = {"native": [], "full": []}
    if load.long:
        tracers, repeat = {"full": tracers["full"]}, min(repeat, LONG_REPEAT)
    runners = {"native": run_native, **tracers}
    broken: set[str] = set()
    with silent_stdout():
        run_native(load.command, scratch)
        for _ in range(repeat):
            for name, run in runners.items():
                if name in broken:
                    continue
                start = time.perf_counter()
                try:
                    used = run(load.command, scratch)
                except (subprocess.CalledProcessError, OSError):
                    broken.add(name)
                    continue
                times[name].append(time.perf_counter() - start)
                if name in processor:
                    processor[name].append(used)
    native = statistics.median(times["native"])
    result = {name: statistics.median(found) / native for name, found in times.items() if found and name != "native"}
    result["seconds"] = native
    result["processor"] = statistics.median(processor["full"]) / statistics.median(processor["native"])
    return result


def peak_memory_mib(folder: Path, scratch: Path) -> float:
    """The most that supervisor and guard together hold resident, in mode `seccomp`, the heaviest for them."""
    log = scratch / "memory.log"
    traced = tracing.start([str(folder / "creates"), "100000"], log=log, mode="seccomp")
    peak = 0.0
    while os.path.exists(f"/proc/{traced.pid}/stat"):
        peak = max(peak, sum(resident_mib(pid) for pid in ancestors(traced.pid)))
        time.sleep(0.02)
        if tracing._state_of(traced.pid) in ("Z", ""):  # noqa: SLF001
            break
    traced.wait()
    log.unlink()
    return peak


def ancestors(pid: int) -> Iterator[int]:
    while pid > 1:
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
            pid = int(text.rpartition(") ")[2].split()[1])
            if Path(f"/proc/{pid}/comm").read_text().strip() != "roar-tracer":
                return
        except OSError:
            return
        yield pid


def resident_mib(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")) / 1024


def render(rows: list[tuple[Load, dict[str, float]]], names: list[str], peak: float, repeat: int) -> str:
    machine = f"Linux {platform.release()}, {platform.machine()}, {os.cpu_count()} processors"
    lines = [
        f"{machine}; ratio of the median of {repeat} interleaved runs to the native median.",
        "",
        "| load | native, s | " + " | ".join(names) + " | at most (full) | full, processor time |",
        "|---|--:|" + "--:|" * (len(names) + 2),
    ]
    for load, result in rows:
        cells = [f"{result[name]:.2f}" if name in result else "-" for name in names]
        bound = f"{load.bound:.2f}" if load.bound else ""
        cells = [load.name, f"{result['seconds']:.3f}", *cells, bound, f"{result['processor']:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    memory = f"Memory of supervisor and guard together, 100,000 creates in mode seccomp: {peak:.1f} MB (at most 64)."
    lines += ["", memory]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--only", default="", help="loads whose name contains this")
    parser.add_argument("--others", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        scratch = folder / "scratch"
        scratch.mkdir()
        opened = 100_000 if options.others else 1_000_000  # the slowest of the others needs a minute for a million
        loads = [load for load in make_loads(folder, long=options.long, opened=opened) if options.only in load.name]
        os.chdir(folder)
        tracers = make_tracers(others=options.others, scratch=scratch)
        rows = []
        for load in loads:
            rows.append((load, measure(load, tracers, options.repeat, scratch)))
            print(load.name, {k: round(v, 3) for k, v in rows[-1][1].items()}, file=sys.stderr, flush=True)
        text = render(rows, list(tracers), peak_memory_mib(folder, scratch), options.repeat)
        os.chdir(home)
    print(text)
    if options.markdown:
        options.markdown.write_text(text)


if __name__ == "__main__":
    main()
