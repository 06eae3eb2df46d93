"""Installed packages that somebody has edited where they are installed."""

import base64
import hashlib
import json
import os

import pytest

CODE = "def f(x):\n    return x * 1\n"


def installed(folder, name, version, inside=None):
    """A distribution as an installer leaves it, with a module `NAME/__init__.py` and one below it.

    `inside` is another folder for these, such as one in a package that several distributions share (PEP 420).
    """
    rows = []
    inside = inside or name
    for path, code in ((f"{inside}/__init__.py", CODE), (f"{inside}/more.py", "")):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(code)
        digest = base64.urlsafe_b64encode(hashlib.sha256(code.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(code)}\n")
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join([*rows, f"{name}-{version}.dist-info/RECORD,,\n"]))
    if inside == name:
        (info / "top_level.txt").write_text(f"{name}\n")


@pytest.fixture
def folder(desk):
    """An environment outside of the project that `roar run` of Python finds packages in."""
    found = desk.home / "env" / "lib" / "python3.11" / "site-packages"
    found.mkdir(parents=True)
    desk.env["PYTHONPATH"] = str(found)
    desk.env.pop("PYTHONDONTWRITEBYTECODE", None)
    return found


def edit(path, text):
    """Edit a file long after it was installed."""
    path.write_text(text)
    later = path.stat().st_mtime_ns + 60 * 10**9
    os.utime(path, ns=(later, later))


def versions(desk):
    """Of the packages that these tests have installed: setuptools has a hook at each start."""
    return {package["name"]: package["version"] for package in desk.job()["python"]["packages"]
            if package["name"] in {"tt", "other", "acme-a", "acme-b", "acme-c"}}


def environment(desk):
    """The line of the checklist; others of it do not pass here."""
    items = json.loads(desk.roar("status", "--checklist", "--json", status=1).stdout)["checklist"]
    return next(item for item in items if item["title"] == "the environment is known")


@pytest.mark.parametrize("version", ["1.2", "1.2+cu121"])
def test_a_package_that_was_edited_has_another_version(desk, folder, version):
    installed(folder, "tt", version)
    installed(folder, "other", "3.0")
    desk.init()
    for _ in range(2):  # from its source, and then from what was compiled of it
        desk.python("import tt, other; open('o', 'w').write(str(tt.f(7)))")
        assert versions(desk) == {"tt": version, "other": "3.0"}
    assert environment(desk)["passed"]
    edit(folder / "tt" / "__init__.py", CODE.replace("1", "2"))
    seen = set()
    for _ in range(2):
        desk.python("import tt, other; open('o', 'w').write(str(tt.f(7)))")
        seen.add(versions(desk)["tt"])
        assert versions(desk)["other"] == "3.0"
    assert (desk.root / "o").read_text() == "14"
    (patched,) = seen
    assert patched.startswith(f"{version}{'.' if '+' in version else '+'}changed.")
    item = environment(desk)
    assert item["passed"] is None
    assert item["problems"] == ["@1 imported packages that were edited where they are installed: tt"]
    first, last = (job["uid"] for job in reversed(desk.json("log")["jobs"][::3]))
    assert patched in desk.roar("diff", first, last).stdout
    assert "edited where installed: tt" in desk.roar("show", "@1").stdout
    edit(folder / "tt" / "__init__.py", CODE.replace("1", "23"))
    desk.python("import tt; open('o', 'w').write(str(tt.f(7)))")
    assert versions(desk)["tt"] not in {version, patched}


def test_what_was_only_touched_or_not_loaded_is_as_it_was_installed(desk, folder):
    installed(folder, "tt", "1.2")
    edit(folder / "tt" / "__init__.py", CODE)
    edit(folder / "tt" / "more.py", "print('not loaded')")
    desk.init()
    desk.python("import tt; open('o', 'w').write(str(tt.f(7)))")
    assert versions(desk) == {"tt": "1.2"}
    desk.python("import tt.more; open('o', 'w').write(str(tt.f(7)))")
    assert "+changed." in versions(desk)["tt"]


def test_of_an_environment_that_was_copied_without_its_times_the_sizes_tell(desk, folder, monkeypatch):
    """To read all of it at each run would take long."""
    installed(folder, "tt", "1.2")
    rows = []
    for number in range(510):
        (folder / "tt" / f"m{number}.py").write_text("x = 1\n")
        rows.append(f"tt/m{number}.py,sha256=x,6\n")
    with (folder / "tt-1.2.dist-info" / "RECORD").open("a") as file:
        file.writelines(rows)
    for path in (folder / "tt").iterdir():
        edit(path, path.read_text())
    desk.init()
    load = "import importlib\nfor n in range(510): importlib.import_module(f'tt.m{n}')\n"
    desk.python(load)
    assert versions(desk) == {"tt": "1.2"}
    edit(folder / "tt" / "m7.py", "x = 12345\n")
    desk.python(load)
    assert "+changed." in versions(desk)["tt"]


def test_of_several_that_share_a_package_it_is_the_one_that_was_edited(desk, folder):
    for name in "abc":
        installed(folder, f"acme_{name}", "1.0", f"acme/{name}")
    desk.init()
    load = "import acme.a, acme.b, acme.c"
    desk.python(load)
    assert versions(desk) == {"acme-a": "1.0", "acme-b": "1.0", "acme-c": "1.0"}
    for name in "abc":
        edit(folder / "acme" / name / "__init__.py", f"{CODE}# edited")
        desk.python(load)
        assert {one for one, version in versions(desk).items() if version != "1.0"} == {f"acme-{name}"}
        edit(folder / "acme" / name / "__init__.py", CODE)


def test_a_file_that_two_distributions_bring_is_that_of_either(desk, folder):
    """As opencv-python and opencv-python-headless do; who is installed last writes over the file."""
    installed(folder, "tt", "1.0")
    info = folder / "other-3.0.dist-info"
    info.mkdir()
    (info / "top_level.txt").write_text("tt\n")
    code = CODE + "# another\n"
    digest = base64.urlsafe_b64encode(hashlib.sha256(code.encode()).digest()).rstrip(b"=").decode()
    (info / "RECORD").write_text(f"tt/__init__.py,sha256={digest},{len(code)}\n")
    edit(folder / "tt" / "__init__.py", code)
    desk.init()
    desk.python("import tt")
    assert all("changed" not in version for version in versions(desk).values())


def test_a_source_that_is_no_file_any_more_keeps_no_job_waiting(desk, folder):
    installed(folder, "tt", "1.2")
    desk.init()
    desk.python("import os, tt; os.unlink(tt.__file__); os.mkfifo(tt.__file__)", timeout=60)
    assert versions(desk) == {"tt": "1.2"}


@pytest.mark.parametrize("row", ["shake_128=abc,24", "sha256=abc," + "9" * 5000, "md5,x", ",", "\x00,\udcff"])
def test_a_list_of_files_that_nobody_understands_loses_no_job(desk, folder, row):
    installed(folder, "tt", "1.2")
    (folder / "tt-1.2.dist-info" / "RECORD").write_bytes(f"tt/__init__.py,{row}\n".encode("utf-8", "surrogateescape"))
    edit(folder / "tt" / "__init__.py", CODE)
    desk.init()
    desk.python("import tt; open('o', 'w').write('x')")
    assert [use["path"] for use in desk.job()["outputs"]] == ["o"]
