"""`roar export`: what real jobs recorded, read by the formats' own tools, and the same as a server gives."""

import itertools
import json
import os
import re
import subprocess
import sys
import urllib.request
import zipfile

import blake3
import pytest
from export_readers import FORMATS, READERS, ro_crate_issues, tasks
from rocrate.rocrate import ROCrate
from wandb_server import FakeWandb

from glaas.exports import Format
from roar.commands import export as verb

PREPARE = """
import os, sys
os.makedirs("data")
for n in range(150):
    open(f"data/{n}.txt", "w").write(f"sample {n}")
"""
TRAIN = """
import os, pathlib, wandb
run = wandb.init(project="demo", name="first")
text = "".join(pathlib.Path(f"data/{n}.txt").read_text() for n in range(150))
run.log({"loss": 0.5})
pathlib.Path("model.pt").write_text(text)
run.finish()
"""
SECRET = "hunter2-9f3k2j1h4g5"


@pytest.fixture(scope="module")
def wandb_server():
    with FakeWandb() as server:
        yield server


@pytest.fixture
def trained(desk, wandb_server):
    """A dataset, a model made of it with a run in W&B and one kept offline, and a secret in the surroundings."""
    desk.write("prepare.py", PREPARE)
    desk.write("train.py", TRAIN)
    desk.write(".gitignore", "data/\nwandb/\n*.pt\n")
    desk.init()
    desk.git("remote", "add", "origin", "git@example.com:acme/digits.git")
    desk.roar("run", "--name", "prepare", sys.executable, "prepare.py")
    desk.roar("run", "--label", "owner=alice", sys.executable, "train.py", "--password", SECRET, env={
        "WANDB_BASE_URL": wandb_server.url, "WANDB_API_KEY": "k" * 40})
    desk.roar("run", sys.executable, "train.py", env={"WANDB_MODE": "offline"})
    return desk


def fetch(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


ONE_AFTER_ANOTHER = """
import json, sys
from roar.cli import main
for number, arguments in enumerate(json.load(sys.stdin)):
    if status := main(["export", *arguments, "--output", f"{sys.argv[1]}/{number}"]):
        sys.exit(status)
"""


def exported(desk, calls):
    """What `roar export` writes for each of `calls`, in one process: what it loads takes longer than all of them."""
    told = json.dumps([list(call) for call in calls])
    subprocess.run([sys.executable, "-c", ONE_AFTER_ANOTHER, desk.tmp], input=told, text=True, cwd=desk.root,
                   env=desk.env, stdout=subprocess.DEVNULL, timeout=300, check=True)
    return [(desk.tmp / str(number)).read_bytes() for number, _ in enumerate(calls)]


def test_the_verb_knows_every_format():
    assert set(verb.FORMATS) == set(Format) == set(FORMATS)


def test_a_real_session_in_every_format(trained, glaas):
    """What the command line writes is sound, names the tracker runs, and is what a server gives, byte for byte."""
    trained.roar("register", "--server", glaas.url)
    answer = json.loads(trained.roar("register", "--server", glaas.url, "--json").stdout)
    jobs = {job["step"]: job for job in trained.json("log")["jobs"]}
    online, offline = (jobs[step]["tracker_runs"][0] for step in (2, 3))
    model = next(output["digest"] for output in jobs[3]["outputs"] if output["path"] == "model.pt")
    assert online["url"].startswith("http://127.0.0.1:")
    places = {"@": f"sessions/{answer['dag']}", "@2": f"jobs/{jobs[2]['uid']}", "model.pt": f"artifacts/{model}"}
    calls = list(itertools.product(FORMATS, places))
    for (name, ref), printed in zip(calls, exported(trained, [(ref, "--format", name) for name, ref in calls]),
                                    strict=True):
        text = printed.decode()
        READERS[name](text)
        assert online["url"] in text or ref == "model.pt"
        assert (offline["run_id"] in text) == (ref != "@2")
        assert SECRET not in text
        assert str(trained.home) not in text
        assert printed == fetch(f"{glaas.url}/api/v1/{places[ref]}/export/{name}"), (name, ref)


def test_the_session_is_the_default_and_members_are_told_on_demand(trained):
    def bom(*arguments):
        return json.loads(trained.roar("export", "--format", "cyclonedx", *arguments).stdout)

    assert [task["name"] for task in tasks(bom())] == ["prepare", "step 2", "step 3"]
    assert [task["name"] for task in tasks(bom("@1"))] == ["prepare"]
    assert [task["name"] for task in tasks(bom("model.pt"))] == ["prepare", "step 3"]
    assert len(bom("--members")["components"]) >= len(bom()["components"]) + 150


def test_a_tracker_runs_address_exports_what_led_to_it(trained):
    url = trained.job("@2")["tracker_runs"][0]["url"]
    crate = READERS["ro-crate"](trained.roar("export", url, "--format", "ro-crate").stdout)
    assert crate.name == f"lineage of tracker run {url}"
    actions = crate.get_by_type("CreateAction")
    assert {action["instrument"]["name"] for action in actions} == {"prepare.py", "train.py"}
    assert {action["instrument"]["codeRepository"] for action in actions} == {"ssh://git@example.com/acme/digits.git"}
    assert url in {run.get("url") for run in crate.root_dataset["mentions"]}


def test_a_folder_is_exported_and_published_with_all_jobs_that_filled_it(desk):
    desk.init()
    for number in (1, 2):
        desk.python("import os, sys; os.makedirs('d', exist_ok=True)\n"
                    f"for n in range(150): open(f'd/{{n}}-{number}', 'w').write(f'{{n}} {number}')")
    desk.python("open('other', 'w').write('other')")
    jobs = {desk.job(f"@{number}")["uid"] for number in (1, 2)}
    other = desk.job("@3")["uid"]
    for name, document in zip(FORMATS, exported(desk, [("d", "--format", name) for name in FORMATS]), strict=True):
        READERS[name](document.decode())
        text = document.decode().replace("-", "")  # some formats write a job's name as a UUID
        assert all(uid in text for uid in jobs), name
        assert other not in text, name
    assert {job["uid"] for job in desk.json("register", "d", "--dry-run")["jobs"]} == jobs


def test_output_goes_where_it_is_told(desk):
    desk.init()
    desk.python("open('a.txt', 'w').write('a')")
    printed = desk.roar("export", "--format", "prov").stdout
    written = desk.roar("export", "--format", "prov", "--output", "x/y.json")
    assert written.stdout == "x/y.json\n"
    assert (desk.root / "x" / "y.json").read_text() == printed
    named = desk.roar("export", "--format", "ro-crate", "--output", "crates/").stdout.strip()
    assert re.fullmatch(r"crates/[0-9a-f]{12}-ro-crate-metadata\.json", named)
    READERS["ro-crate"]((desk.root / named).read_text())
    refused = desk.roar("export", "--format", "prov", "--output", "a.txt/b", status=1)
    assert refused.stderr.startswith("roar: a.txt/b cannot be written: ")


def test_a_dataset_with_names_that_are_no_text(desk, glaas, tmp_path):
    """One of them is shown as another is really called."""
    desk.init()
    (desk.root / "in").mkdir()
    for name in (b"\xff", rb"\xff", b"caf\xe9"):
        (desk.root / "in" / os.fsdecode(name)).write_bytes(name)
    for n in range(150):
        desk.write(f"in/{n}", str(n))
    desk.roar("run", "cp", "-r", "in", "out")
    desk.roar("run", "sh", "-c", "cat in/* > all && cat out/caf* > one")
    assert "3 outputs up to date" in desk.roar("status").stdout
    members = desk.json("show", "out/")["members"]
    assert [(one["path"], one.get("raw_path")) for one in members][-3:] == [
        (r"\xff", None), (r"caf\xe9", "636166e9"), (r"\xff", "ff")]
    for name, content in ((b"\xff", b"\xff"), (rb"\xff", rb"\xff")):
        found = desk.json("show", os.fsdecode(b"out/" + name))
        assert found["digest"] == blake3.blake3(content).hexdigest()
    assert "came out the same" in desk.roar("reproduce", "@", "--run", "--into", str(tmp_path / "again")).stdout
    desk.roar("register", "--server", glaas.url)
    answer = json.loads(desk.roar("register", "--server", glaas.url, "--json").stdout)
    calls = [("--format", name, *more) for name in FORMATS for more in ((), ("--members",))]
    for call, printed in zip(calls, exported(desk, calls), strict=True):
        READERS[call[1]](printed.decode())
        query = "?members=true" if "--members" in call else ""
        assert printed == fetch(f"{glaas.url}/api/v1/sessions/{answer['dag']}/export/{call[1]}{query}"), call
    (desk.root / "in" / os.fsdecode(b"\xff")).write_text("other")
    assert "its input in/ has changed since" in desk.roar("status").stdout


def test_names_that_are_no_text_and_a_terminal_that_speaks_no_utf_8(desk):
    desk.init()
    desk.python("import os; open(b'caf\\xe9-\\xc3\\xbc\\n.txt', 'w').write('x')")
    for name in FORMATS:
        printed = desk.roar("export", "--format", name, text=False, env={"LC_ALL": "C", "PYTHONUTF8": "0",
                                                                         "PYTHONCOERCECLOCALE": "0"}).stdout
        READERS[name](printed.decode("utf-8"))
        assert b"caf\\\\xe9-\xc3\xbc\\n.txt" in printed


def test_what_cannot_be_exported_is_told(desk):
    assert "roar run COMMAND" in desk.roar("export", "--format", "prov", status=1).stderr
    desk.init()
    desk.python("open('a.txt', 'w').write('a')")
    assert "roar log" in desk.roar("export", "nothing.bin", "--format", "prov", status=1).stderr
    assert desk.roar("export", status=2).stderr.endswith("try: roar export --help\n")
    assert "cyclonedx" in desk.roar("export", "--format", "word", status=2).stderr


@pytest.mark.parametrize("missing", ["rocrate", "sqlalchemy"])
def test_without_the_libraries(desk, missing):
    desk.init()
    desk.python("pass")
    (desk.root / "sitecustomize.py").write_text(f"import sys\nsys.modules['{missing}'] = None\n")
    failed = desk.roar("export", "--format", "ro-crate", status=1, env={"PYTHONPATH": str(desk.root)})
    assert "in a clone of roar: pip install '.[server]'" in failed.stderr
    assert missing in failed.stderr
    assert "Traceback" not in failed.stderr


# ------------------------------------------------------------------------------------------- packages


@pytest.fixture
def made(desk, tmp_path):
    """A dataset, an input from outside, a name with a space, an output written twice, and one that is gone."""
    (tmp_path / "far.csv").write_text("far")
    desk.init()
    desk.python("import os; os.mkdir('data')\nfor n in range(120): open(f'data/{n} \u00fc.txt', 'w').write(str(n))")
    desk.python(f"""
text = "".join(open(f"data/{{n}} \u00fc.txt").read() for n in range(120))
text += open({str(tmp_path / "far.csv")!r}).read()
for name in ("model 1.pt", "twice.txt", "gone.txt", "ro-crate-metadata.json"):
    open(name, "w").write(name + text)
""")
    desk.python("open('twice.txt', 'a').write('x')")
    (desk.root / "gone.txt").unlink()
    return desk


def test_a_file_with_a_secret_is_not_packed(desk):
    """As `.env` and the key of a service account, which a program reads as data."""
    desk.init()
    desk.write(".env", "API_TOKEN=hf_abcdefghijklmnopqrstuvwxyz0123456789\n")
    desk.python("open('out', 'w').write(str(len(open('.env').read())))")
    done = desk.roar("export", "--format", "ro-crate", "--files", "--output", "crate/")
    assert "roar: .env is described but not packed: it seems to hold a secret." in done.stderr
    assert not (desk.root / "crate" / ".env").exists()
    assert (desk.root / "crate" / "out").exists()


def test_a_package_names_each_file_that_it_has_not_when_asked(desk):
    desk.python("for n in range(12): open(f'o{n:02}.' + 'abcdefghijkl'[n], 'w').write(str(n))")
    for path in desk.root.glob("o*"):
        path.unlink()
    words = ("export", "--format", "ro-crate", "--files")
    said = desk.roar(*words, "--output", "crate.zip").stderr.splitlines()
    assert len(said) == 11
    assert said[-1] == "roar: … and 2 more files: roar export --format ro-crate --files --all --output crate.zip"
    assert len(desk.roar(*words, "--all", "--output", "crate.zip").stderr.splitlines()) == 12


def test_a_package_holds_the_files_as_recorded(made, tmp_path):
    printed = made.roar("export", "--format", "ro-crate", "--files", "--output", "out/crate/")
    assert printed.stdout == "out/crate/\n"
    told = dict(re.findall(r"roar: (\S+) is described but not packed: (.*)\.", printed.stderr))
    assert told == {"gone.txt": "it is gone", "twice.txt": "it has changed"}
    root = made.root / "out" / "crate"
    far = str(tmp_path / "far.csv").lstrip("/")
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert files == {"ro-crate-metadata.json", "model 1.pt", "twice.txt", "outside/ro-crate-metadata.json",
                     f"outside/{far}", *(f"data/{n} \u00fc.txt" for n in range(120))}
    crate = ROCrate(root)
    assert crate.root_dataset.id == "./"
    model, folder, outside = crate.get("model%201.pt"), crate.get("data/"), crate.get(f"outside/{far}")
    assert (model["@type"], folder["@type"]) == ("File", "Dataset")
    assert outside["alternateName"] == f"/{far}"
    assert {digest(path) for path in root.rglob("*.pt")} == {model["identifier"].removeprefix("blake3:")}
    gone = next(file for file in crate.get_entities() if file.get("localPath") == "gone.txt")
    assert gone.id.startswith("#")  # described, though not there
    assert ro_crate_issues(tmp_path, "ro-crate-1.2", rocrate_uri=str(root)) == set()


def digest(path):
    return blake3.blake3(path.read_bytes()).hexdigest()


def test_the_same_files_make_the_same_archive(made):
    bodies = set()
    for name in ("a.zip", "b.zip"):
        made.roar("export", "model 1.pt", "--format", "ro-crate", "--files", "--members", "--output", name)
        bodies.add((made.root / name).read_bytes())
    assert len(bodies) == 1
    crate = ROCrate(made.root / "a.zip")
    assert len(crate.get("data/")["hasPart"]) == 120
    with zipfile.ZipFile(made.root / "a.zip") as archive:
        assert archive.read("data/7 \u00fc.txt") == b"7"
    assert not list(made.root.glob("*.part"))


def test_a_package_is_not_put_over_anything(made):
    made.write("full/mine.txt", "mine")
    refused = made.roar("export", "--format", "ro-crate", "--files", "--output", "full", status=1)
    assert "full is there already" in refused.stderr
    assert [path.name for path in (made.root / "full").iterdir()] == ["mine.txt"]
    for wrong in (["--format", "prov", "--output", "x"], ["--format", "ro-crate"]):
        assert "--files --output crate.zip" in made.roar("export", "--files", *wrong, status=2).stderr
