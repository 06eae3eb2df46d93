"""Programs made up at random, beside a model of what they read and write: the record must say the same."""

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from blake3 import blake3

FOLDERS = ("d", "e", "g", "d/s")
START = ("a", "b", "d/a", "d/b", "d/s/a", "e/a", "e/b")
LINK = "link"
FOLDER_LINK, FILE_LINKS = "by", {"cur": "d/a", "far": "by/b"}
"""Symlinks that no program changes: one to the folder d, and some to files."""
MODES = ("full", "seccomp", "preload")
PRELUDE = "import ctypes, os, shutil, subprocess\nlibc = ctypes.CDLL(None)\n"


@dataclass(eq=False)
class Content:
    """What stands in one file (one inode).

    Attributes:
        old: the name under which it was there before the job, None for what the job wrote.
    """

    text: str
    old: str | None = None


@dataclass
class Model:
    """The files as the program leaves them, and what it used of those that were there before."""

    files: dict[str, Content]
    folders: set[str]
    first_target: str | None
    target: str | None = field(init=False)
    program: list[str] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.target = self.first_target

    def use(self, path: str) -> None:
        content = self.files[path]
        if content.old is not None:
            self.inputs.setdefault(content.old, content.text)

    def put(self, path: str, text: str) -> None:
        """Into the same inode, as open(2) does."""
        content = self.files.setdefault(path, Content(""))
        content.text, content.old = text, None
        self.touched |= {name for name, there in self.files.items() if there is content}

    def outputs(self) -> dict[str, str]:
        """By path, the text of what stands there now and did not before; what was moved away and back was read."""
        left = {path: self.files[path] for path in self.touched & self.files.keys()}
        for path in left:
            self.use(path)  # moved, and still there
        return {path: content.text for path, content in left.items() if content.old != path}

    def read(self, one: str, _: str, __: str) -> str | None:
        if one not in self.files:
            return None
        self.use(one)
        return f"open({one!r}).read()"

    def read_link(self, _: str, __: str, ___: str) -> str | None:
        return None if self.read(self.target or "", "", "") is None else f"open({LINK!r}).read()"

    def point_link(self, one: str, _: str, text: str) -> str:
        self.target = one
        if text.endswith(("1", "3", "5")):
            return f"os.symlink({one!r}, 'tmp'); os.replace('tmp', {LINK!r})"
        return f"subprocess.run(['ln', '-sfn', {one!r}, {LINK!r}], check=True)"

    def remove_link(self, _: str, __: str, ___: str) -> str | None:
        if self.target is None:
            return None
        self.target = None
        return f"os.unlink({LINK!r})"

    def read_by_another_process(self, one: str, _: str, __: str) -> str | None:
        return None if self.read(one, "", "") is None else f"subprocess.run(['cat', {one!r}], check=True)"

    def write(self, one: str, _: str, text: str) -> str | None:
        self.put(one, text)
        return f"open({one!r}, 'w').write({text!r})"

    def write_link(self, _: str, __: str, text: str) -> str | None:
        if self.target not in self.files:
            return None
        self.put(self.target, text)
        return f"open({LINK!r}, 'w').write({text!r})"

    def append(self, one: str, _: str, text: str) -> str | None:
        if one in self.files:
            self.use(one)
        self.put(one, (self.files[one].text if one in self.files else "") + text)
        return f"subprocess.run(['sh', '-c', {f'printf {text} >> {one}'!r}], check=True)"

    def write_unnamed(self, one: str, _: str, text: str) -> str | None:
        if one in self.files:
            return None
        self.put(one, text)
        return (f"fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o644); os.write(fd, {text.encode()!r}); "
                f"os.link(f'/proc/self/fd/{{fd}}', {one!r}, src_dir_fd=0, follow_symlinks=True); os.close(fd)")

    def replace(self, one: str, _: str, text: str) -> str | None:
        self.files.pop(one, None)
        self.put(one, text)
        return f"open('tmp', 'x+').write({text!r}); os.replace('tmp', {one!r})"

    def make(self, one: str, _: str, text: str) -> str | None:
        if one in self.files:
            return None
        self.put(one, text)
        return f"open({one!r}, 'x+').write({text!r})"

    def empty_and_write(self, one: str, _: str, text: str) -> str | None:
        self.put(one, text)
        return f"open({one!r}, 'w+').write({text!r})"

    def empty_open(self, one: str, _: str, text: str) -> str | None:
        self.put(one, text)
        return (f"fd = os.open({one!r}, os.O_WRONLY | os.O_CREAT, 0o644); os.ftruncate(fd, 0); "
                f"os.write(fd, {text.encode()!r}); os.close(fd)")

    def empty_by_name(self, one: str, _: str, text: str) -> str | None:
        if one not in self.files:
            return None
        self.put(one, text)
        return f"os.truncate({one!r}, 0); open({one!r}, 'r+').write({text!r})"

    def edit(self, one: str, _: str, text: str) -> str | None:
        if one not in self.files:
            return None
        self.use(one)
        self.put(one, text + self.files[one].text[len(text):])
        return f"open({one!r}, 'r+').write({text!r})"

    def rename(self, one: str, other: str, _: str) -> str | None:
        if one not in self.files or self.files[one] is self.files.get(other):
            return None
        self.use(one)
        self.files[other] = self.files.pop(one)
        self.touched |= {one, other}
        return f"subprocess.run(['mv', '-T', {one!r}, {other!r}], check=True)"

    def rename_by_call(self, one: str, other: str, _: str) -> str | None:
        """Where both are one file, nothing happens: rename(2)."""
        if one not in self.files:
            return None
        if self.files[one] is not self.files.get(other):
            self.rename(one, other, "")
        return f"os.rename({one!r}, {other!r})"

    def fail(self, one: str, other: str, text: str) -> str:
        """A call that cannot do what it is asked for."""
        calls = [f"os.link({one!r}, 'missing/x')", f"os.rename({one!r}, 'missing/x')", "open('missing/x', 'w')",
                 f"open({one!r} + '/x', 'w')", "os.link('missing', 'x')", "os.rename('d', 'd/s/x')"]
        if one in self.files and other in self.files:
            calls.append(f"os.link({one!r}, {other!r})")
        return f"try: {calls[int(text[3:]) % len(calls)]}\nexcept OSError: pass"

    def exchange(self, one: str, other: str, _: str) -> str | None:
        if not {one, other} <= self.files.keys() or self.files[one] is self.files[other]:
            return None
        self.use(one)
        self.use(other)
        self.files[one], self.files[other] = self.files[other], self.files[one]
        self.touched |= {one, other}
        return f"assert not libc.renameat2(-100, {one.encode()!r}, -100, {other.encode()!r}, 2)"

    def link(self, one: str, other: str, _: str) -> str | None:
        if one not in self.files or other in self.files:
            return None
        self.use(one)
        self.files[other] = self.files[one]
        self.touched.add(other)
        return f"os.link({one!r}, {other!r})"

    def copy(self, one: str, other: str, _: str) -> str | None:
        if one not in self.files or self.files[one] is self.files.get(other):
            return None
        self.use(one)
        self.put(other, self.files[one].text)
        return f"shutil.copyfile({one!r}, {other!r})"

    def unlink(self, one: str, _: str, __: str) -> str | None:
        return None if self.files.pop(one, None) is None else f"os.unlink({one!r})"

    def rename_folder(self, one: str, other: str) -> str | None:
        if one not in self.folders or other in self.folders or other.startswith(one):
            return None
        for names in (self.files, dict.fromkeys(self.folders)):
            for old in [name for name in names if name == one or name.startswith(one + "/")]:
                new = other + old[len(one):]
                if names is self.files:
                    self.files[new] = self.files.pop(old)
                    self.touched |= {old, new}
                else:
                    self.folders ^= {old, new}
        return f"os.rename({one!r}, {other!r})"

    def exchange_folders(self, one: str, other: str) -> str | None:
        if not {one, other} <= self.folders or one.startswith(other) or other.startswith(one):
            return None
        for names in (self.files, dict.fromkeys(self.folders)):
            new_names = {name: there + name[len(here):] for here, there in ((one, other), (other, one))
                         for name in names if name.startswith(here + "/")}
            if names is self.files:
                moved = {new: self.files.pop(old) for old, new in new_names.items()}
                self.files |= moved
                self.touched |= new_names.keys() | moved.keys()
            else:
                self.folders = (self.folders - new_names.keys()) | set(new_names.values())
        return f"assert not libc.renameat2(-100, {one.encode()!r}, -100, {other.encode()!r}, 2)"

    def make_folder(self, one: str, _: str) -> str | None:
        if one in self.folders:
            return None
        self.folders.add(one)
        return f"os.mkdir({one!r})"


def make_up(seed: int, *, by_links: bool = False) -> tuple[dict[str, str], Model]:
    """What is there at first, and a program of some steps with what it should come to.

    by_links: whether it names files by symlinks, too.
    """
    chance = random.Random(seed)
    start = {path: f"start {path}" for path in START if chance.random() < 0.6}
    model = Model({path: Content(text, path) for path, text in start.items()}, {"d", "e", "d/s"},
                  chance.choice([None, *start]))
    steps: list[Callable[[str, str, str], str | None]] = [
        model.read, model.read, model.read_by_another_process, model.read_link, model.write, model.write_link,
        model.read_link, model.write_link, model.point_link, model.point_link, model.remove_link,
        model.append, model.write_unnamed, model.replace, model.rename, model.rename, model.exchange, model.link,
        model.copy, model.unlink, model.make, model.empty_and_write, model.edit,
        model.empty_open, model.empty_by_name, model.rename_by_call, model.fail]
    folder_steps = [model.rename_folder, model.rename_folder, model.make_folder, model.exchange_folders]
    for number in range(chance.randint(3, 12)):
        if chance.random() < 0.25:
            one, other = chance.choice(FOLDERS), chance.choice(FOLDERS)
            there = {path.rpartition("/")[0] or "d" for path in (one, other)} <= model.folders
            line = chance.choice(folder_steps)(one, other) if there else None
            if line and by_links and chance.random() < 0.5:
                line = line.replace("'d/s'", f"'{FOLDER_LINK}/s'")
        else:
            places = ["", *(f"{folder}/" for folder in sorted(model.folders))]
            names = [chance.choice(places) + chance.choice("ab") for _ in "12"]
            step = chance.choice(steps)
            line = step(*names, f"new{number}")
            if line and by_links:
                line = by_other_names(line, names, follows=step.__name__ in FOLLOWING, chance=chance)
        model.program += [line] if line else []
    return start, model


FOLLOWING = {"read", "read_by_another_process", "write", "append", "empty_and_write", "empty_open", "empty_by_name",
             "edit", "copy"}


def by_other_names(line: str, names: list[str], *, follows: bool, chance: random.Random) -> str:
    """The same step where files in the folder d are named by symlinks, their own only where these are followed."""
    for name in set(names):
        folder, _, last = name.rpartition("/")
        ways = [name, name] if folder != "d" else [name, f"{FOLDER_LINK}/{last}", *(
            link for link, file in FILE_LINKS.items() if follows and file.endswith(last))]
        other = chance.choice(ways)
        line = line.replace(f"'{name}'", f"'{other}'").replace(f">> {name}'", f">> {other}'")
    return line


def digest(text: str) -> str:
    return blake3(text.encode()).hexdigest()


@pytest.mark.parametrize("by_links", [False, True], ids=["", "by links"])
@pytest.mark.parametrize("seed", range(30))
def test_the_record_is_what_the_model_says(seed, by_links, desk):
    start, model = make_up(seed, by_links=by_links)
    for path, text in start.items():
        desk.write(path, text)
    for folder in FOLDERS[:2] + FOLDERS[3:]:
        (desk.root / folder).mkdir(parents=True, exist_ok=True)
    for link, target in {FOLDER_LINK: "d", **FILE_LINKS}.items() if by_links else ():
        (desk.root / link).symlink_to(target)
    if model.first_target:
        (desk.root / LINK).symlink_to(model.first_target)
    desk.roar("run", "cat", *start, "/dev/null")  # every content at the start is known
    desk.roar("run", sys.executable, "-c", PRELUDE + "\n".join(model.program),
              env={"ROAR_TRACER_MODE": MODES[seed % len(MODES)]})
    job = desk.job()
    assert not any("gone by the end" in gap for gap in job["tracer"]["gaps"]), model.program
    outputs = model.outputs()
    texts = {digest(text): text for text in [*start.values(), *outputs.values()]}
    for said, expected in ((job["outputs"], outputs), (job["inputs"], model.inputs)):
        assert {use["path"]: texts.get(use["digest"], use["digest"]) for use in said} == expected, model.program
