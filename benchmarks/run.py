"""Run all benchmarks, or those named: every figure is a ratio of commands timed in turn within one run.

usage: run.py [--write] [--full] [NAME...]      a NAME is a file of this folder without `.py`; --list prints them

--write makes docs/benchmarks.md of what they print; with names, only their parts of it. --full lets `scale` fill a
PostgreSQL with a million jobs (about 7 GB and a quarter of an hour) instead of fifty thousand, `recording` read and
write 100,000 files, and `tracer` train for a minute. Peers stand beside roar where ROAR_CLI and REPROZIP name their
programs and ROAR_CLI_TRACERS the folder of roar-cli's tracers, each installed in an environment of its own.
"""

import ast
import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
HEADING = "\n## `benchmarks/"
FLAGS = {"--write", "--full"}
WITH_FULL = {"scale": "--full", "recording": "--long", "tracer": "--long"}
BESIDE_OTHERS = "REPROZIP", "ROAR_CLI_TRACERS"
INTRODUCTION = """# What it costs

Written by `make bench ARGS=--write`. Every figure is a ratio of commands that were timed in turn within one run on one
machine, or a time taken beside another; absolute times say little on another machine.

Why some of the tracer's bounds are missed is in [benchmarks-tracer.md](benchmarks-tracer.md).
"""


def compile_installed() -> None:
    """Byte code of what is measured, as pip makes it when it installs; uv leaves that to the first run."""
    places = [Path(sysconfig.get_path("purelib"), name) for name in ("roar", "glaas", "blake3")]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *filter(os.path.isdir, places)], check=True)


def processor() -> str:
    """The processor's own name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def run(name: str, *flags: str) -> tuple[int, str]:
    """Exit status and output of one benchmark, shown while it comes."""
    lines = []
    with subprocess.Popen([sys.executable, HERE / f"{name}.py", *flags], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return process.returncode, "".join(lines)


def section(name: str, output: str) -> str:
    """A part of the page: what the benchmark says of itself, where it ran, and what it printed."""
    about = (ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text())) or name).partition("\n\n")[0]
    machine = (f"{processor()}, {os.cpu_count()} processors, Linux {platform.release()},"
               f" Python {platform.python_version()}")
    table = any(line.startswith("|") for line in output.splitlines())
    body = output.strip() if table else f"```text\n{output.rstrip()}\n```"
    return f"{HEADING}{name}.py`\n\n{about}\n\nMeasured on {machine}.\n\n{body}\n"


def sections_of(page: str) -> dict[str, str]:
    """The parts of a page that was written before, by name."""
    return {part[0]: part[1] for part in (
        (text.partition(".py`")[0], f"{HEADING}{text}") for text in page.split(HEADING)[1:])}


def main() -> int:
    """Start each benchmark in an interpreter of its own; return 1 when one of them failed."""
    names = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "run")
    if "--list" in sys.argv[1:]:
        print(*names, sep="\n")
        return 0
    chosen = [word for word in sys.argv[1:] if word not in FLAGS] or names
    unknown = [name for name in chosen if name not in names]
    if unknown:
        print(f"there is no benchmark {unknown[0]!r}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    sections = sections_of(PAGE.read_text()) if chosen != names else {}
    failed = 0
    compile_installed()
    for name in chosen:
        print(f"\n## {name}\n", flush=True)
        status, output = run(name, *([WITH_FULL[name]] if name in WITH_FULL and "--full" in sys.argv[1:] else []))
        failed += status != 0
        if name == "tracer" and any(os.environ.get(peer) for peer in BESIDE_OTHERS):
            status, beside = run(name, "--others", "--repeat", "2")
            failed += status != 0
            output += f"\nBeside others, the first loads with fewer opens:\n\n{beside}"
        sections[name] = section(name, output)
    if "--write" in sys.argv[1:] and not failed:
        PAGE.write_text(INTRODUCTION + "".join(sections[name] for name in sorted(sections)))
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
