"""The hints of the checklist where a program refuses to write over what is there, followed as they stand."""

import pytest
from checklists import checklist, follow

CODE, FRESH, ENDED = "the code is in a commit", "the outputs are up to date", "every step ended well"
PREPARE = "open('data', 'w').write(open('raw').read())\n"
TRAIN = "open('m', 'w').write(''.join(open(f'train/{n}').read() for n in range(6)))\n"
MANY = ("import os\nos.makedirs('data', exist_ok=True)\n"
        "for n in range(8):\n    open(f'data/{n}', 'w').write(open('raw').read() + str(n))\n")


@pytest.fixture
def write(user):
    """A function that puts scripts in a commit, by their names."""
    def write(**texts):
        user.write(".gitignore", ".roar\nraw*\nm\nout*\ndata*\ntrain\nval\n*.log\n")
        for name, text in texts.items():
            user.write(f"{name}.py", text)
        user.init()
        user.write("raw", "a")
        return user
    return write


def read(desk, name):
    return (desk.root / name).read_text()


def names(desk, folder="."):
    return {path.name for path in (desk.root / folder).iterdir()}


def mend(desk, *titles):
    """Follow the first hint of some lines until there is none, or only a look; those of steps may fail."""
    given = []
    while (hint := next((found[title]["hint"] for found in [checklist(desk)] for title in titles or (ENDED, FRESH)
                         if found[title]["hint"]), None)) is not None:
        given.append(hint)
        if hint.startswith("roar show"):
            break
        assert len(given) < 8, given
        follow(desk, hint, check=False)
    return given


def aside(paths, step=1):
    """The hint that puts files or folders aside while a step runs."""
    back = [f"mv {option} .roar/{path.split('/')[-1]}.old {path}" for path, option in paths.items()]
    away = " && ".join(f"mv {path} .roar/{path.split('/')[-1]}.old" for path in paths)
    return f"{away} && roar run @{step} || " + (back[0] if len(back) == 1 else f"{{ {'; '.join(back)}; }}")


@pytest.mark.parametrize(("text", "path", "option"), [
    ("open('out', 'x').write(open('raw').read())\n", "out", "-nT"),
    ("import os\nos.mkdir('out')\nopen('out/x', 'w').write(open('raw').read())\n", "out", "-T"),
    ("import os, shutil\nshutil.copytree('raws', 'out/deep')\nopen('out/x', 'w').write(open('raw').read())\n",
     "out", "-T"),
], ids=["x", "mkdir", "copytree"])
def test_what_a_step_refuses_to_write_over_is_put_aside(write, text, path, option):
    desk = write(make=text)
    for name in ("1", "2"):
        desk.write(f"raws/{name}", "1")
    desk.roar("run", "python", "make.py")
    desk.write("raw", "b")
    assert mend(desk) == ["roar run @1", aside({path: option})]
    assert read(desk, "out" if path == "out" and option == "-nT" else "out/x") == "b"
    assert all(checklist(desk)[title]["passed"] for title in (ENDED, FRESH))
    assert "out.old" in names(desk, ".roar")


def test_a_file_that_was_packed_is_packed_again(write):
    desk = write(prepare=PREPARE)
    desk.roar("run", "python", "prepare.py")
    desk.roar("run", "gzip", "data")
    desk.write("raw", "b")
    assert mend(desk) == ["roar run @1", "roar run @2", aside({"data.gz": "-nT"}, 2)]
    assert desk.roar("run", "gzip", "-cd", "data.gz").stdout == "b"
    assert "data" not in names(desk)


def test_what_refuses_runs_with_code_in_a_commit(write):
    desk = write(make="open('out', 'x').write(open('raw').read())\n")
    desk.write("make.py", "open('out', 'x').write(open('raw').read() + '!')\n")
    desk.roar("run", "python", "make.py")
    assert mend(desk, ENDED, CODE) == ["git commit -a && roar run @1", aside({"out": "-nT"})]
    assert checklist(desk)[CODE]["passed"]
    assert read(desk, "out") == "a!"


def test_what_fails_for_another_reason_leaves_all_as_it_was(write):
    text = "text = open('raw').read()\nopen('t.log', 'a').write('1')\nassert {}\nopen('out', 'w').write(text)\n"
    desk = write(make=text.format("text != 'b'"))
    desk.roar("run", "python", "make.py")
    desk.write("raw", "b")
    assert mend(desk) == ["roar run @1", aside({"out": "-nT"}), "roar show @1"]
    assert (read(desk, "out"), names(desk, ".roar") & {"out.old"}) == ("a", set())
    desk.write("make.py", text.format("True"))
    desk.git("commit", "-qam", "mended")
    desk.roar("run", "@1")
    assert mend(desk) == []
    assert read(desk, "out") == "b"


@pytest.mark.parametrize("text", [
    ("import os\nraw = open('raw').read()\nassert raw != 'b'\n"
     "if os.path.exists('out'):\n    raw += open('out').read()\nelse:\n    open('out', 'w').write('1')\n"
     "open('m', 'w').write(raw)\n"),
    "assert open('raw').read() != 'b'\nopen('out', 'w').write('1')\n"], ids=["goes on", "tracked"])
def test_what_is_gone_on_from_or_tracked_is_not_put_aside(write, text):
    desk = write(make=text)
    for _ in range(2):
        desk.roar("run", "python", "make.py")
    if "os.path" not in text:
        desk.git("add", "-f", "out")
        desk.git("commit", "-qm", "out")
    desk.write("raw", "b")
    assert mend(desk) == ["roar run @1", "roar show @1"]
    assert (desk.root / "out").exists()


def test_a_folder_that_holds_more_stays(write):
    """Only the step's own files would be put aside: that the folder is refused nobody knows."""
    desk = write(make="import os\nos.mkdir('out')\nopen('out/x', 'w').write(open('raw').read())\n")
    desk.roar("run", "python", "make.py")
    desk.write("out/notes", "mine")
    desk.write("raw", "b")
    assert mend(desk)[-1] == "roar show @1"
    assert (read(desk, "out/x"), read(desk, "out/notes")) == ("a", "mine")


@pytest.mark.parametrize("is_made", [False, True])
def test_a_split_by_hard_links_is_made_again(write, is_made):
    """Whether the step makes the folders itself; they are more than a few files."""
    desk = write(many=MANY, train=TRAIN, split="import os\n" + (
        "os.mkdir('train')\nos.mkdir('val')\n" if is_made else "") + (
        "for n in range(8):\n    os.link(f'data/{n}', f\"{'train' if n < 6 else 'val'}/{n}\")\n"))
    if not is_made:
        for name in ("train", "val"):
            (desk.root / name).mkdir()
    for name in ("many", "split", "train"):
        desk.roar("run", "python", f"{name}.py")
    desk.write("raw", "b")
    follow(desk, checklist(desk)[FRESH]["hint"])
    assert "train/0: no longer what @2 wrote: it is one file with data/0 (a hard link)" in (
        checklist(desk)[FRESH]["problems"])
    again = "" if is_made else "mkdir train && mkdir val && "
    assert mend(desk) == [
        (f"mv train .roar/train.old && mv val .roar/val.old && {again}roar run @2 && rm -r .roar/train.old"
         " .roar/val.old || { mv -T .roar/train.old train; mv -T .roar/val.old val; }"), "roar run @3"]
    assert checklist(desk)[FRESH]["passed"]
    assert read(desk, "m") == "b0b1b2b3b4b5"
    assert (desk.root / "val/7").samefile(desk.root / "data/7")


def test_a_hard_link_to_what_somebody_changed_is_made_again(write):
    desk = write()
    desk.roar("run", "ln", "raw", "out")
    desk.write("raw", "b")
    assert mend(desk) == ["mv out .roar/out.old && roar run @1 && rm -r .roar/out.old || mv -nT .roar/out.old out"]
    assert checklist(desk)[FRESH]["passed"]
    assert read(desk, "out") == read(desk, "raw") == "b"


def test_what_somebody_changed_beside_hard_links_is_not_written_over(write):
    desk = write(split="import os\nos.mkdir('train')\nos.link('raw', 'train/0')\nopen('train/1', 'w').write('1')\n")
    desk.roar("run", "python", "split.py")
    desk.write("raw", "b")
    desk.write("train/1", "mine")
    assert mend(desk) == []
    assert read(desk, "train/1") == "mine"


def test_a_file_that_is_edited_in_place_and_has_another_name_is_not_its_own_link(write):
    """Somebody kept what they changed under a second name."""
    desk = write(edit="text = open('out').read()\nopen('out', 'w').write(text + open('raw').read())\n")
    desk.write("out", "1")
    desk.roar("run", "python", "edit.py")
    (desk.root / "out2").hardlink_to(desk.root / "out")
    desk.write("out", "mine")
    desk.write("raw", "b")
    assert mend(desk) == []
    assert read(desk, "out") == "mine"


def test_what_somebody_changed_beside_links_is_not_written_over_for_the_sake_of_a_commit(write):
    text = "import os\nos.link('raw', 'out')\nopen('m', 'w').write('1')\n"
    desk = write(split=text)
    desk.write("split.py", text + "# more\n")
    desk.roar("run", "python", "split.py")
    desk.write("m", "mine")
    assert mend(desk, CODE) == []
    assert "m is no longer what @1 left there" in checklist(desk)[CODE]["problems"][-1]


def test_a_step_that_failed_and_is_up_to_date_is_only_looked_at(write):
    desk = write(make="import os\nassert 'WRONG' not in os.environ\nopen('out', 'w').write(open('raw').read())\n")
    desk.roar("run", "python", "make.py")
    desk.env["WRONG"] = "1"
    desk.roar("run", "@1", status=1)
    assert mend(desk) == ["roar show @1"]
