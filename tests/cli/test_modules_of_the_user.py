"""Modules of the user's own that are named as those which roar needs: in PYTHONPATH, or where Python is started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = str(Path(sys.executable).with_name("roar"))
OF_ITS_START = {"encodings", "collections", "contextlib", "functools", "importlib", "keyword", "operator", "reprlib",
                "types", "warnings"}
"""What Python itself needs before it comes to the module of `-m`; without the first it does not start at all."""
OF_WINDOWS = {"msvcrt", "winreg", "_winapi", "nt"}
NEEDED = sorted((sys.stdlib_module_names - OF_WINDOWS - {"encodings"}) | {"blake3", "rich", "pygments"})


def fill(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.py").write_text(f"raise ImportError('{name} of the user')\n")


@pytest.fixture
def script(desk):
    """`roar` by its script, which Python starts in another way than `-m roar`."""
    desk.program = [SCRIPT]
    return desk


def recorded(done):
    """Whether all is well, by what `roar run` says."""
    return "roar: recorded @" in done.stderr and "nothing missed" in done.stderr and "roar: facts" not in done.stderr


def test_in_pythonpath_they_stand_in_nobodys_way(script):
    script.write("in", "1")
    script.init()
    fill(script.root / "lib", NEEDED)
    env = {"PYTHONPATH": "lib"}
    done = script.roar("run", "cp", "in", "out", env=env)
    assert (recorded(done), (script.root / "out").read_text()) == (True, "1"), done.stderr
    for words in (("log",), ("show", "@1"), ("status", "--checklist"), ("dag",), ("lineage", "out"), ("doctor",)):
        assert script.roar(*words, env=env, status=None).stderr == "", words
    done = script.roar("reproduce", "out", "--run", "--into", str(script.tmp / "again"), env=env)
    assert "1 of 1 output came out the same" in done.stdout


def test_the_command_finds_them_as_without_roar(script):
    script.write("lib/random.py", "VALUE = 'mine'\n")
    code = "import os, random; open('out', 'w').write(random.VALUE + os.environ['PYTHONPATH'])"
    done = script.roar("run", sys.executable, "-c", code, env={"PYTHONPATH": "lib"})
    assert (recorded(done), (script.root / "out").read_text()) == (True, "minelib")


def test_in_the_current_folder_they_do_not_stand_in_the_way_of_the_module(desk):
    desk.write("in", "1")
    fill(desk.root, set(NEEDED) - OF_ITS_START)
    done = subprocess.run([sys.executable, "-m", "roar", "run", "cp", "in", "out"], cwd=desk.root, env=desk.env,
                          capture_output=True, text=True, check=True)
    assert recorded(done), done.stderr


def test_what_python_has_loaded_of_them_at_its_start_is_forgotten(script):
    script.write("lib/json/__init__.py", "")
    script.write("lib/json/decoder.py", "")
    script.write("lib/copy.py", "")
    script.write("lib/sitecustomize.py", "import copy, json.decoder\n")
    done = script.roar("run", "sh", "-c", "echo x > out", env={"PYTHONPATH": "lib"})
    assert recorded(done), done.stderr


def test_a_reproduction_in_a_folder_that_holds_some(script):
    fill(script.root, ["types", "json"])
    script.write("in", "1")
    script.init()
    script.roar("run", "cp", "in", "out")
    done = script.roar("reproduce", "out", "--run", "--into", str(script.tmp / "again"))
    assert "1 of 1 output came out the same" in done.stdout


def test_roar_itself_may_lie_in_pythonpath(desk):
    """As what `pip install --target` made: before other packages, as it was, but behind Python's own modules."""
    import roar  # noqa: PLC0415  where it is installed

    target = desk.root / "target"
    target.mkdir()
    (target / "roar").symlink_to(os.path.dirname(roar.__file__))
    fill(target, ["json"])
    code = "import sys; from roar.cli import main; main(); print(*sys.path, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code, "--version"], cwd=desk.root, capture_output=True, text=True,
                          env={**desk.env, "PYTHONPATH": f"{target}:{desk.root}/lib"}, check=True)
    version, *places = done.stdout.splitlines()
    assert version == f"roar {roar.__version__}"
    place = places.index(str(target))
    assert places[place - 1].endswith("/lib-dynload")
    assert places[place + 1].endswith("-packages")
    assert str(desk.root / "lib") in places[place + 2:]


@pytest.mark.parametrize(("words", "status", "said"), [
    (["sh", "-c", "echo ran > out; exit 3"], 3, ""),
    (["-q", "--name", "x", "--label=a=b", "--", "sh", "-c", "echo ran > out"], 0, ""),
    (["./plain"], 0, ""),
    (["no-such-command"], 127, "roar: no-such-command: No such file or directory\n"),
    (["./in"], 126, "roar: ./in: Permission denied\n"),
])
def test_where_roar_does_not_work_the_command_runs_all_the_same(script, words, status, said):
    script.write("in", "1")
    script.write("plain", "echo ran > out\n", mode=0o755)
    script.write("lib/sitecustomize.py", "import sys\nsys.modules['dataclasses'] = None\n")
    done = script.roar("run", *words, env={"PYTHONPATH": "lib"}, status=status)
    assert done.stderr.startswith("roar: this job was not recorded: ModuleNotFoundError: ")
    assert done.stderr.partition("\n")[2] == said
    assert (script.root / "out").exists() == (not said)


def test_where_roar_does_not_work_a_step_cannot_run(script):
    """Its command is in the record alone."""
    script.write("lib/sitecustomize.py", "import sys\nsys.modules['dataclasses'] = None\n")
    assert "ModuleNotFoundError" in script.roar("run", "@1", env={"PYTHONPATH": "lib"}, status=1).stderr
