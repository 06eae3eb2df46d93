"""Random pipelines that somebody has worked with: the hints of the checklist lead to what a clean rebuild gives."""

import random
import shutil
import subprocess
import sys
from dataclasses import dataclass

import pytest
from checklists import checklist, follow

ENDED, FRESH = "every step ended well", "the outputs are up to date"
SOURCES = ("raw0", "raw1")
MOST_HINTS = 30
SCRIPT = """\
import os, sys
texts = [open(path).read() for path in {reads!r}]
if os.path.lexists('fail{number}'):
    open({writes!r}, 'w').write('partial')
    sys.exit(1)
open({writes!r}, 'w').write('{number}(' + ','.join(texts) + ')')
"""


@dataclass(frozen=True)
class Step:
    """One script; it edits in place where it reads what it writes."""

    number: int
    reads: tuple[str, ...]
    writes: str

    @property
    def is_edit(self):
        return self.writes in self.reads

    @property
    def command(self):
        return ("python", f"s{self.number}.py")


def draw_steps(chance):
    """Three to five steps: each makes a file of earlier ones, or edits one in place, or replaces one."""
    steps, made = [], []
    for number in range(chance.randint(3, 5)):
        files = [*SOURCES, *made]
        round_about = [(step.writes, name) for step in steps for name in step.reads
                       if name in made and name != step.writes]
        if round_about and chance.random() < 0.15:
            steps.append(Step(number, (round_about[0][0],), round_about[0][1]))
        elif made and chance.random() < 0.35:
            target = chance.choice(made)
            others = [name for name in chance.sample(files, chance.randint(0, 1)) if name != target]
            steps.append(Step(number, (target, *others), target))
        else:
            reads = tuple(chance.sample(files, chance.randint(1, min(2, len(files)))))
            steps.append(Step(number, reads, f"m{number}"))
            made.append(f"m{number}")
    return steps


def work(desk, steps, chance):
    """What somebody does after the first runs: sources change, steps run again or fail, outputs go."""
    for _ in range(chance.randint(1, 4)):
        step = chance.choice([step for step in steps if not step.is_edit and not is_replaced(step, steps)])
        deed = chance.choice(("change", "change", "again", "delete", "fail"))
        if deed == "change":
            desk.write(chance.choice(SOURCES), str(chance.random()))
        elif deed == "delete":
            (desk.root / step.writes).unlink(missing_ok=True)
        elif not any(is_gone_or_edited(desk, name, step, steps) for name in step.reads):
            if deed == "fail":
                desk.write(f"fail{step.number}", "")
            desk.roar("run", *step.command, status=None)
            (desk.root / f"fail{step.number}").unlink(missing_ok=True)


def is_replaced(step, steps):
    """Whether a step has put its output in the place of another one's, and a later one did so again."""
    writers = [other.number for other in steps if other.writes == step.writes and not other.is_edit]
    return writers[0] < step.number < writers[-1]


def is_gone_or_edited(desk, name, reader, steps):
    """Whether a reader would not find what it finds in a rebuild: a later step has edited that."""
    later = tuple(f"{step.number}(" for step in steps if step.number > reader.number and step.writes == name)
    path = desk.root / name
    return not path.exists() or path.read_text().startswith(later)


def rebuild(desk, steps, folder):
    """The files of a run of all steps on the sources as they are now."""
    folder.mkdir()
    for name in SOURCES:
        (folder / name).write_text((desk.root / name).read_text())
    for step in steps:
        subprocess.run([sys.executable, desk.root / f"s{step.number}.py"], cwd=folder, check=True)
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("seed", range(5))
def test_the_hints_lead_to_a_clean_rebuild_or_say_why_not(user, tmp_path, seed):
    chance = random.Random(seed)
    steps = draw_steps(chance)
    user.write(".gitignore", ".roar\nraw*\nm*\nfail*\n")
    for name in SOURCES:
        user.write(name, str(chance.random()))
    for step in steps:
        user.write(f"s{step.number}.py",
                   SCRIPT.format(reads=step.reads, writes=step.writes, number=step.number))
    user.init()
    for step in steps:
        user.roar("run", *step.command)
    work(user, steps, chance)
    sources = {name: (user.root / name).read_text() for name in SOURCES}
    given = []
    while (hint := next((item["hint"] for item in map(checklist(user).get, (ENDED, FRESH)) if item["hint"]), None)):
        given.append(hint)
        assert len(given) < MOST_HINTS, (steps, given)
        if hint.startswith("roar show @"):  # they look, mend what was wrong, and run it again
            if user.roar("run", hint.split()[-1], status=None).returncode:
                return  # it was something else that they have to look at
        else:
            follow(user, hint)
    assert {name: (user.root / name).read_text() for name in SOURCES} == sources
    items = [checklist(user)[title] for title in (ENDED, FRESH)]
    if not all(item["passed"] for item in items):
        open_items = [item for item in items if not item["passed"]]
        assert all(item["passed"] is None or item["problems"][-1].startswith("no command mends it: ")
                   for item in open_items), (steps, given, items)
        return
    clean = rebuild(user, steps, tmp_path / "clean")
    now = {name: (user.root / name).read_text() for name in clean if (user.root / name).exists()}
    assert now == {name: clean[name] for name in now}, (steps, given)


def test_what_is_gone_is_made_first_by_whatever_names_its_step_used(desk):
    """Its maker has used others since, and nothing of either is there."""
    desk.write("n", "4")
    desk.write("mk.sh", "mkdir -p data; n=$(cat n); for i in $(seq $n); do echo $n $i > data/s$i-of-$n; done")
    desk.roar("run", "-q", "sh", "mk.sh")
    desk.roar("run", "-q", "sh", "-c", "cat data/* > m")
    desk.write("n", "3")
    desk.roar("run", "-q", "@1")
    shutil.rmtree(desk.root / "data")
    for _ in range(3):
        item = checklist(desk)["the outputs are up to date"]
        if item["passed"]:
            break
        follow(desk, item["hint"])
    assert (desk.root / "m").read_text() == "3 1\n3 2\n3 3\n"


@pytest.mark.parametrize(("join", "wanted"), [("cat x/*", "roar run @2"), ("cat x/a x/b x/c", "")])
@pytest.mark.parametrize("how", ["rm x/c", "rm -r x; roar run -q @1"])
def test_what_its_step_makes_no_more(desk, how, join, wanted):
    """What took it from the folder runs without it; not what names it."""
    desk.env |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    desk.write("names", "a b c")
    desk.write("make.sh", "mkdir -p x; for name in $(cat names); do echo $name > x/$name; done")
    desk.init()
    desk.roar("run", "-q", "sh", "make.sh")
    desk.roar("run", "-q", "--", "sh", "-c", f"{join} > all")
    desk.write("names", "a b")
    desk.roar("run", "-q", "@1")
    follow(desk, how)
    item = checklist(desk)[FRESH]
    assert item["problems"][0] == "all: its input x/c is gone, which @1 did not make again"
    assert (item["hint"] or "").endswith(wanted)
    if wanted:
        follow(desk, item["hint"])
        assert checklist(desk)[FRESH]["passed"]
        assert (desk.root / "all").read_text() == "a\nb\n"
    else:
        assert item["problems"][-1] == "no command mends it: x/c, which @2 read, is gone"


@pytest.mark.parametrize("name", ["data", "data/part"])
def test_a_folder_that_was_put_in_the_place_of_what_a_step_read(desk, name):
    """The files in it are older than the step's job."""
    desk.env |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    desk.write(f"{name}/x", "old")
    desk.write("new/x", "new")
    desk.init()
    desk.roar("run", "-q", "sh", "-c", f"cat {name}/x > out")
    follow(desk, f"mv {name} aside; mv new {name}; git add -A; git commit")
    assert checklist(desk)[FRESH]["hint"] == "roar run @1"
    follow(desk, "roar run @1")
    assert checklist(desk)[FRESH]["passed"]
    assert (desk.root / "out").read_text() == "new"
