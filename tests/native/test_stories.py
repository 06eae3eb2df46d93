"""Each C file here is one way to name a file to the kernel; its first lines say what the tracer must have seen.

    // expect KIND PATH [PATH]   read, write, read-write, rename, link, symlink, unlink, truncate, empty, mkdir,
                                 rmdir, mknod, exec (first words of argv), gap; a `*` in a path matches anything
    // preload misses all        or a list of expectations that the library alone cannot fulfil
    // build FLAGS / compiler NAME / needs root / seccomp needs root / exit STATUS
"""

import fnmatch
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from roar.observe.trace import EventKind, Trace

STORIES = sorted(Path(__file__).parent.glob("*.c"))
MODES = ("full", "seccomp", "preload")
USERS = ("root", "user") if os.getuid() == 0 else ("root",)
NOT_AVAILABLE = 77


@dataclass
class Story:
    expectations: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    compiler: str = "gcc"
    root_modes: tuple[str, ...] = ()
    exit_code: int = 0


def load_story(source: Path) -> Story:
    story = Story()
    for line in source.read_text().splitlines():
        match = re.fullmatch(r"// (expect|preload misses|build|compiler|needs|seccomp needs|exit) (.+)", line)
        if match is None:
            continue
        word, rest = match.groups()
        if word == "expect":
            story.expectations.append(rest)
        elif word == "preload misses":
            story.missed.append(rest)
        elif word == "build":
            story.flags += rest.split()
        elif word == "compiler":
            story.compiler = rest
        elif word == "needs":
            story.root_modes = MODES
        elif word == "seccomp needs":
            story.root_modes = ("seccomp",)
        else:
            story.exit_code = int(rest)
    return story


def is_write(flags: int) -> bool:
    return flags & os.O_ACCMODE != os.O_RDONLY or bool(flags & (os.O_CREAT | os.O_TRUNC))


def absolute(path: str, folder: Path) -> str:
    path = os.fsdecode(path.encode("latin-1").decode("unicode_escape").encode("latin-1"))
    return path if path.startswith(("/", "*")) else f"{folder}/{path}"


def fulfils(expectation: str, trace: Trace, folder: Path) -> bool:
    kind, _, rest = expectation.partition(" ")
    if kind == "gap":
        return rest in trace.gaps
    if kind == "exec":
        return any(" ".join(process.argv) == rest for process in trace.processes)
    paths = [absolute(path, folder) for path in rest.split()]
    for event in trace.events:
        if not fnmatch.fnmatchcase(event.path, paths[0]) and not (kind == "symlink" and event.path == rest.split()[0]):
            continue
        if kind in ("read", "write", "read-write"):
            access = event.flags & os.O_ACCMODE
            if event.kind is EventKind.OPEN and (
                (kind == "read" and not is_write(event.flags) and has_signature(event))
                or (kind == "write" and is_write(event.flags))
                or (kind == "read-write" and access == os.O_RDWR and has_signature(event))
            ):
                return True
        elif event.kind is EventKind[kind.upper()] and (len(paths) == 1 or fnmatch.fnmatchcase(event.path2, paths[1])):
            return True
    return False


def has_signature(event) -> bool:
    signature = event.signature
    if signature is not None and stat.S_ISFIFO(signature.mode):
        return signature.inode > 0
    return signature is not None and stat.S_ISREG(signature.mode) and signature.inode > 0 and signature.size > 0


CASES = [pytest.param(source, mode, user, id=f"{source.stem}-{mode}-{user}")
         for source in STORIES for mode in MODES for user in USERS
         if user == "root" or mode not in load_story(source).root_modes]  # what only root may do


@pytest.mark.parametrize(("source", "mode", "user"), CASES)
def test_story(source, mode, user, build, story_folder, run_traced):
    story = load_story(source)
    program = build(source, *story.flags, compiler=story.compiler)
    folder = story_folder(user)
    outcome = run_traced([str(program)], folder, mode, user=user)
    if outcome.exit_code == NOT_AVAILABLE:
        pytest.skip("not available on this machine")
    assert outcome.exit_code == story.exit_code, outcome.output
    assert outcome.mode == mode, outcome.messages
    missed = story.expectations if story.missed == ["all"] else story.missed
    for expectation in story.expectations:
        found = fulfils(expectation, outcome.trace, folder) if expectation != "long" else has_long_path(outcome.trace)
        if mode == "preload" and expectation in missed:
            assert not found, f"preload now sees {expectation}: say so in docs/tracer.md"
        else:
            events = "\n".join(map(str, outcome.trace.events))
            assert found, f"{expectation} not in\n{events}\n{outcome.trace.processes}\n{outcome.trace.gaps}"


@pytest.mark.parametrize("mode", ["full", "seccomp"])
def test_a_ring_that_cannot_be_made_is_no_gap(mode, build, story_folder, run_traced):
    outcome = run_traced([str(build(Path(__file__).parent / "programs" / "no_ring.c"))], story_folder("root"), mode)
    assert (outcome.exit_code, outcome.trace.gaps) == (0, ())


@pytest.mark.parametrize("mode", ["full", "seccomp"])
@pytest.mark.parametrize("user", USERS)
def test_a_rename_that_fails_is_none(mode, user, build, story_folder, run_traced):
    folder = story_folder(user)
    source = Path(__file__).parent / "failed_rename.c"
    outcome = run_traced([str(build(source, "-static"))], folder, mode, user=user)
    assert outcome.exit_code == 0, outcome.output
    moved = [(event.path, event.path2) for event in outcome.trace.events
             if event.kind in (EventKind.RENAME, EventKind.LINK)]
    assert moved == [(f"{folder}/{one}", f"{folder}/{other}") for one, other in (
        ("one.txt", "two.txt"), ("one.txt", "moved.txt"), ("folder", "moved"), ("filled", "empty"))]


@pytest.mark.parametrize("mode", ["full", "seccomp"])
@pytest.mark.parametrize("user", USERS)
def test_a_name_that_cannot_be_made_or_removed_is_none(mode, user, build, story_folder, run_traced):
    folder = story_folder(user)
    outcome = run_traced([str(build(Path(__file__).parent / "failed_names.c", "-static"))], folder, mode, user=user)
    assert outcome.exit_code == 0, outcome.output
    done = [(event.kind.name, *((event.path,) if event.kind is not EventKind.SYMLINK else (event.path2,)))
            for event in outcome.trace.events if event.kind is not EventKind.OPEN or is_write(event.flags)]
    assert [(kind, path.removeprefix(f"{folder}/")) for kind, path in done] == [
        ("OPEN", "made.txt"), ("MKDIR", "folder"), ("SYMLINK", "folder/link"), ("OPEN", "folder/link"),
        ("LED", "folder/link"), ("UNLINK", "made.txt"), ("OPEN", "folder/link")]


@pytest.mark.skipif(os.getuid() != 0, reason="runs a program as two users")
@pytest.mark.parametrize(("mode", "user", "told"), [
    ("full", "user", False), ("seccomp", "root", False), ("seccomp", "user", True),
])
def test_what_cannot_be_read_of_a_program_that_forbids_it_is_told(mode, user, told, build, story_folder, run_traced):
    """Only root may read a non-dumpable program; through the library it tells by itself."""
    outcome = run_traced([str(build(Path(__file__).parent / "not_dumpable.c"))], story_folder(user), mode, user=user)
    assert outcome.exit_code == 0, outcome.output
    assert any(gap.endswith("calls could not be read") for gap in outcome.trace.gaps) == told


def has_long_path(trace: Trace) -> bool:
    """The path has 4,095 bytes in the call; normalised, it keeps its last component of 11 or so."""
    return any(event.path.endswith("07") and is_write(event.flags) for event in trace.events)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("user", USERS)
def test_the_longest_path_is_whole_and_a_longer_one_is_told(mode, user, build, story_folder, run_traced):
    program = build(Path(__file__).parent / "programs" / "longest_path.c")
    outcome = run_traced([str(program)], story_folder(user), mode, user=user)
    assert outcome.exit_code == 0, outcome.output
    opened = [event for event in outcome.trace.events if event.kind is EventKind.OPEN and event.path.endswith("fff")]
    assert {len(event.path.encode()) for event in opened} == {4095}
    assert [is_write(event.flags) for event in opened] == ([True, True] if mode == "preload" else [True, False, True])
    assert any(gap.endswith("calls could not be read") for gap in outcome.trace.gaps), outcome.trace.gaps


SCRIPTS = {
    "python": (
        [sys.executable, "-c", "import pathlib, colorsys; t = open('in.txt').read(); open('out.txt', 'w').write(t)"],
        ["read in.txt", "write out.txt", "read */colorsys.*"],
    ),
    "bash": (["bash", "-c", "read x < in.txt; echo $x > out.txt; echo $x >> more.txt"], [
        "read in.txt", "write out.txt", "write more.txt",
    ]),
    "shebang": (["./script"], ["read script", "read in.txt"]),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name, user, mode, story_folder, run_traced):
    command, expectations = SCRIPTS[name]
    if user != "root" and command[0] == sys.executable:
        command = ["/usr/bin/python3", *command[1:]]  # the tests' own may lie where only root comes
    folder = story_folder(user)
    script = folder / "script"
    script.write_text("#!/bin/sh\nread x < in.txt\n")
    script.chmod(0o755)
    outcome = run_traced(command, folder, mode, user=user)
    assert outcome.exit_code == 0, outcome.output
    for expectation in expectations:
        assert fulfils(expectation, outcome.trace, folder), expectation


OTHER_LIBCS = {"bullseye": (2, 31), "trixie": (2, 41)}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("release", OTHER_LIBCS)
def test_another_glibc_than_that_of_the_build(release, mode, story_folder, run_traced):
    root = Path(sys.prefix) / "libc" / release
    if not root.is_dir():
        pytest.skip("tools/install_test_needs.sh fetches other libcs on Debian only")
    libraries = next(path.parent for path in root.rglob("libc.so.6"))
    loader = [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries)]
    shell, convert = (next(root.rglob(f"bin/{name}")) for name in ("dash", "iconv"))
    assert OTHER_LIBCS[release] != tuple(map(int, os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")))
    folder = story_folder("root")
    script = f"read x < in.txt; echo $x > out.txt; {' '.join(loader)} {convert} -o made.txt data/in.txt"
    outcome = run_traced([*loader, str(shell), "-c", script], folder, mode)
    assert (outcome.exit_code, outcome.output) == (0, "")
    assert (folder / "made.txt").read_text() == "input\n"
    for expectation in ("read in.txt", "write out.txt", "read data/in.txt", "write made.txt"):
        assert fulfils(expectation, outcome.trace, folder), expectation
    assert [process.exit_code for process in outcome.trace.processes] == [0, 0]


@pytest.mark.parametrize("mode", MODES)
def test_rust(mode, story_folder, run_traced):
    """ruff is a Rust program, and the tests need it anyway."""
    folder = story_folder("root")
    (folder / "code.py").write_text("x  =  1\n")
    ruff = Path(sys.executable).parent / "ruff"
    outcome = run_traced([str(ruff), "format", "--no-cache", "code.py"], folder, mode)
    assert (outcome.exit_code, outcome.output) == (0, "1 file reformatted\n")
    for expectation in ("read code.py", "write code.py"):
        assert fulfils(expectation, outcome.trace, folder), expectation


GO_SOURCE = """
package main

import ("os"; "os/exec")

func main() {
    text, err := os.ReadFile("in.txt")
    if err != nil { panic(err) }
    if err := os.WriteFile("out.txt", text, 0644); err != nil { panic(err) }
    if err := exec.Command("cp", "data/in.txt", "copied.txt").Run(); err != nil { panic(err) }
}
"""


@pytest.fixture(scope="session")
def go_program(open_folder):
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    source = open_folder / "story.go"
    source.write_text(GO_SOURCE)
    program = open_folder / "story-go"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOCACHE": str(open_folder / "go"), "GO111MODULE": "off"}
    subprocess.run(["go", "build", "-o", str(program), str(source)], check=True, env=environment, capture_output=True)
    return program


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("user", USERS)
def test_go_and_its_child(mode, user, go_program, story_folder, run_traced):
    folder = story_folder(user)
    outcome = run_traced([str(go_program)], folder, mode, user=user)
    assert outcome.exit_code == 0, outcome.output
    child = ["read data/in.txt", "write copied.txt"]
    own = ["read in.txt", "write out.txt", "exec cp data/in.txt copied.txt"]
    for expectation in child + own:
        missed = mode == "preload" and expectation in own[:2]
        assert fulfils(expectation, outcome.trace, folder) != missed, expectation
