"""The tracer under AddressSanitizer and UndefinedBehaviorSanitizer, fed with every story and some awkward programs."""

import shutil
import subprocess
from pathlib import Path

import pytest

from roar.observe import tracing

HERE = Path(__file__).parent
NATIVE = HERE.parent.parent / "native"
UNITS = ("launcher", "supervisor", "events", "exec", "recover", "process", "path", "memory", "log", "filter",
         "watch")
PLAIN = [path for path in sorted(HERE.glob("*.c")) if not {"compiler", "build"} & set(path.read_text().split())]
PROGRAMS = [HERE / "programs" / f"{name}.c" for name in ("many_threads", "alarms", "vfork_threads")]


@pytest.fixture(scope="module")
def sanitized_tracer(open_folder, made_once):
    return shutil.copy(made_once("roar-tracer-sanitized", _compile), open_folder)


def _compile(target):
    flags = ["-std=gnu11", "-g", "-O1", "-pthread", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    sources = [str(NATIVE / f"{unit}.c") for unit in UNITS]
    done = subprocess.run(["gcc", *flags, "-o", str(target), *sources], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("this compiler has no sanitizers")


@pytest.mark.parametrize("source", [*PLAIN, *PROGRAMS], ids=lambda source: source.stem)
def test_nothing_to_report(source, sanitized_tracer, build, quick_story_folder, run_traced, monkeypatch, open_folder):
    reports = open_folder / "sanitizer"
    monkeypatch.setenv("ASAN_OPTIONS", f"detect_leaks=0:log_path={reports}")
    monkeypatch.setenv("UBSAN_OPTIONS", f"log_path={reports}")
    monkeypatch.setattr(tracing, "_TRACER", sanitized_tracer)
    outcome = run_traced([str(build(source))], quick_story_folder("root"), "seccomp")
    assert outcome.mode == "seccomp"
    assert not [report.read_text() for report in open_folder.glob("sanitizer.*")]
