"""The verbs on real jobs, as a user runs them."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from shutil import which

import pytest
from checklists import checklist, follow

from roar.commands import VERBS, completion
from roar.model import Job, JobState, Tracer
from roar.record.database import open_database
from roar.record.writer import set_label, write_job

COPY = "import sys; open(sys.argv[2], 'w').write(open(sys.argv[1]).read() + sys.argv[3])"


@pytest.fixture
def copy(desk):
    """`copy(a, b, text)`: a recorded job that writes b as a's content and text."""
    desk.write("append.py", COPY)
    desk.init()

    def run(source, target, text="", **more):
        desk.roar("run", sys.executable, "append.py", source, target, text, **more)
        return desk.job()

    desk.write("raw", "raw")
    return run


@pytest.fixture
def pipeline(copy):
    return [copy("raw", "data", "1"), copy("data", "model", "2"), copy("model", "scores", "3")]


def test_init_and_reset(desk):
    assert desk.roar("init").stdout == f"{desk.root}/.roar is ready.\n"
    assert "already" in desk.roar("init").stdout
    assert "no jobs yet" in desk.roar("reset").stdout
    desk.roar("run", "true")
    first = desk.job()
    assert "1 job" in desk.roar("reset").stdout
    assert desk.json("log") == {"jobs": []}
    assert "roar log --all" in desk.roar("log").stdout
    assert [job["uid"] for job in desk.json("log", "--all")["jobs"]] == [first["uid"]]
    desk.roar("run", "true")
    assert desk.job()["step"] == 1
    lines = desk.roar("log", "--all").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["session", "@1", "session", "@1"]


def test_steps_of_an_earlier_session_are_not_called_by_number(copy, desk):
    first = copy("raw", "data", "1")
    desk.roar("reset")
    second = copy("data", "model", "2")
    text = desk.roar("lineage", "model").stdout
    assert f"made by @1 {second['uid'][:8]}" in text
    assert f"← {first['uid'][:8]}" in text
    assert f"before it {first['uid'][:8]}" in text
    assert "earlier sessions" in desk.roar("dag").stdout


def test_log_cuts_and_says_so(desk):
    desk.roar("init")
    database = open_database(str(desk.root / ".roar" / "roar.db"))
    _write_jobs(database, 35)
    done = desk.roar("log")
    assert len(done.stdout.splitlines()) == 30
    assert done.stderr == "… and 5 earlier jobs: roar log -n 0\n"
    cut = desk.roar("log", "-n", "2", "--status", "ok", "--since", "2020-01-01", "--all", "--", "job").stderr
    assert cut.startswith("… and 33 earlier jobs: roar log -n 0 --status=ok --since=2020-01-01T")
    assert cut.endswith("Z --all -- job\n")
    assert len(desk.roar(*shlex.split(cut.partition(": roar ")[2])).stdout.splitlines()) == 35
    assert len(desk.roar("log", "-n", "0").stdout.splitlines()) == 35
    assert len(desk.json("log")["jobs"]) == 35, "JSON is for programs: nothing is cut unless asked"
    assert len(desk.json("log", "-n", "3")["jobs"]) == 3


def _write_jobs(database, number):
    for index in range(number):
        write_job(database, Job(
            uid=f"{index:032x}", step=0, command=("job", str(index)), cwd=".", duration_s=1.0, exit_code=0,
            started_at=f"2026-11-22T10:{index:02}:00.000000Z", state=JobState.DONE, tracer=Tracer(mode="full")))
    database.close()


@pytest.mark.parametrize("verb", [["show"], ["lineage"], ["inputs"], ["reproduce"], ["diff", "@1"], ["dag"],
                                  ["register", "--dry-run"]])
def test_a_variable_that_is_not_set_names_nothing(pipeline, desk, verb):
    done = desk.roar(*verb, "", status=1)
    assert done.stderr == "roar: The reference is empty, as a variable that is not set is.\n  try: roar log\n"


def test_log_filters_by_what_a_user_types(pipeline, desk):
    def steps(*arguments, **more):
        return [job["step"] for job in json.loads(desk.roar("log", "--json", *arguments, **more).stdout)["jobs"]]

    assert steps() == [3, 2, 1]
    assert steps("--path", "data") == [2, 1]
    os.mkdir(desk.root / "sub")
    assert steps("--path", "../data", cwd=desk.root / "sub") == [2, 1]
    assert steps("--path", "../da*", cwd=desk.root / "sub") == steps("--path", "./da?a") == [2, 1]
    assert steps("model", "scores") == [3]
    assert steps("--since", "1h") == [3, 2, 1]
    assert steps("--until", "1h") == []
    assert steps("--since", "2099-01-01") == []
    assert steps("--status", "failed") == []
    for long_ago in ("99999999999d", "9999999999999h", "0001-01-01T00:00+14:00"):
        assert f"'{long_ago}' lies before all time" in desk.roar("log", "--until", long_ago, status=2).stderr
    assert desk.roar("log", "--since", "yesterdayish", status=2).stderr.startswith("roar: Argument --since: ")


@pytest.mark.parametrize("name", ["o/layers=[64,64]/m.pt", "data [1].csv", "what?"])
def test_a_path_that_could_be_a_pattern_is_first_taken_as_it_is(desk, name):
    (desk.root / name).parent.mkdir(exist_ok=True, parents=True)
    desk.roar("run", "cp", "/etc/hostname", name)
    desk.roar("run", "cp", "/etc/hostname", "whats")

    def steps(path):
        return [job["step"] for job in desk.json("log", "--path", path)["jobs"]]

    assert steps(name) == steps(name.replace("[", "[[]").replace("?", "[?]")) == [1]
    (desk.root / name).unlink()
    assert steps(name) == [1]
    assert steps("what*") == ([2, 1] if name == "what?" else [2])
    desk.roar("config", "filters.remove", f"['{name}']")
    desk.roar("run", "cp", "/etc/hosts", name)
    assert desk.job()["outputs"] == []


def test_show_names_everything_of_a_job(pipeline, desk):
    text = desk.roar("show", "@2").stdout
    job = pipeline[1]
    assert job["uid"] in text
    assert "@2" in text
    for use in job["inputs"] + job["outputs"]:
        assert use["path"] in text
        assert use["digest"][:12] in text
    assert job["git"]["commit"][:12] in text
    assert "system: the operating system" in desk.roar("show", "@2", "--all").stdout
    assert desk.json("show", "@2")["outputs"] == job["outputs"]
    assert desk.json("show", "@2", "--all")["left_out"]["system"] > 0


def test_show_prints_the_uncommitted_changes_of_a_job(desk):
    desk.write("t.py", "print(1)\n")
    desk.init()
    desk.write("t.py", "print(2)  # ü\n")
    desk.roar("run", "python", "t.py")
    job = desk.job()
    digest = job["git"]["patch"]
    (command,) = re.findall(r"the patch: roar (show [0-9a-f]{12})\)", desk.roar("show").stdout)
    patch = desk.roar(*command.split(), text=False).stdout
    assert "-print(1)\n+print(2)  # ü\n".encode() in patch
    assert desk.json("show", digest) == {"patch": digest, "jobs": [job["uid"]], "content": patch.decode()}
    desk.git("checkout", "t.py")
    desk.write("p", patch.decode())
    desk.git("apply", "p")
    assert (desk.root / "t.py").read_text() == "print(2)  # ü\n"


def test_the_graph_is_drawn_and_told_as_json(desk):
    desk.roar("run", "true")
    assert [node["step"] for node in desk.json("dag", "--svg", "g.svg")["nodes"]] == [1]
    assert ET.parse(desk.root / "g.svg").getroot().tag.endswith("svg")
    done = desk.roar("dag", "--svg", "-", "--json", status=2)
    assert done.stdout == ""
    assert done.stderr == ("roar: The drawing and the JSON cannot both go to stdout.\n"
                           "  try: roar dag --json --svg FILE\n")


def test_a_symlink_that_a_job_went_through_is_shown_and_found_wherever_it_leads_now(desk):
    desk.write("v1/d", "a")
    desk.write("v2/d", "b")
    (desk.root / "first").symlink_to("v1")
    (desk.root / "cur").symlink_to("first")
    desk.roar("run", "cp", "cur/d", "out")
    desk.roar("run", "cp", "v1/d", "other")
    assert desk.json("show", "@1")["symlinks"] == {"cur": "first", "first": "v1"}
    said = desk.roar("show", "@1").stdout
    assert "  symlinks (2)\n    cur → first\n    first → v1\n" in said
    assert "symlinks" not in desk.json("show", "@2")
    for target, now in (("v2", "what lies there now, no recorded job read or wrote"),
                        (None, "nothing lies there now")):
        (desk.root / "cur").unlink()
        if target is not None:
            (desk.root / "cur").symlink_to(target)
        for path in ("cur/d", "cur"):
            assert [job["step"] for job in desk.json("log", "--path", path)["jobs"]] == [1]
        done = desk.roar("lineage", "cur/d", status=1)
        assert done.stderr == (f"roar: 'cur/d' led to 'v1/d' by a symlink when a job used it; {now}.\n"
                               "  try: roar lineage v1/d\n")
    desk.roar("lineage", "v1/d")


@pytest.mark.parametrize(("count", "led"), [(3, "store/0 and 2 more"), (150, "store/")])
def test_a_folder_of_symlinks_says_where_they_lead(desk, count, led):
    for number in range(count):
        desk.write(f"store/{number}", str(number))
    (desk.root / "links" / "train").mkdir(parents=True)
    for number in range(count):
        (desk.root / "links" / "train" / f"{number}.txt").symlink_to(f"../../store/{number}")
    desk.roar("run", "sh", "-c", "cat links/train/* > out")
    for name in ("links", "links/train/"):
        done = desk.roar("lineage", name, status=1)
        assert f"roar: {name!r} holds symlinks through which jobs used {led}.\n" in done.stderr
        assert f"  try: roar lineage {led.split()[0]}\n" in done.stderr


def test_show_lists_the_packages_of_a_job(desk):
    desk.roar("init")
    desk.python("import pytest")
    job = desk.job()
    versions = {package["name"]: package["version"] for package in job["python"]["packages"]}
    said = desk.roar("show").stdout
    assert f" imported packages: roar show {job['uid'][:8]} --all\n" in said
    assert versions["pytest"] not in said
    lines = [line.split() for line in desk.roar("show", job["uid"][:8], "--all").stdout.splitlines()]
    assert ["imported", "packages", f"({len(versions)})"] in lines
    assert all([name, version] in lines for name, version in versions.items())


def test_show_an_artifact_and_a_session(pipeline, desk):
    artifact = desk.json("show", "data")
    assert artifact["names"] == ["data"]
    assert [use["job"] for use in artifact["produced_by"]] == [pipeline[0]["uid"]]
    assert [use["job"] for use in artifact["used_by"]] == [pipeline[1]["uid"]]
    text = desk.roar("show", artifact["digest"][:10]).stdout
    assert pipeline[0]["uid"][:8] in text
    session = desk.json("show", "@")
    assert [job["uid"] for job in session["jobs"]] == [job["uid"] for job in pipeline]
    assert desk.json("show", session["uid"][:8]) == session
    assert pipeline[2]["uid"][:8] in desk.roar("show", "@").stdout


def test_lineage(pipeline, desk):
    found = desk.json("lineage", "scores")
    assert found["root"] == pipeline[2]["outputs"][0]["digest"]
    assert [job["uid"] for job in found["jobs"]] == [job["uid"] for job in reversed(pipeline)]
    assert found["jobs"][0] == pipeline[2]
    made = {"source": pipeline[0]["uid"], "target": pipeline[0]["outputs"][0]["digest"], "role": "output"}
    assert made in found["edges"]
    assert found["truncated"] is False
    assert desk.json("lineage", "scores", "--depth", "1")["truncated"] is True
    down = desk.json("lineage", "data", "--down")
    assert [job["uid"] for job in down["jobs"]] == [pipeline[1]["uid"], pipeline[2]["uid"]]
    text = desk.roar("lineage", "scores").stdout
    assert "nothing recorded made it" in text
    assert f"← @1 {pipeline[0]['uid'][:8]}" in text
    desk.roar("lineage", "@", status=1)
    desk.roar("lineage", "scores", "--depth", "0", status=2)


def test_a_copy_is_not_what_a_file_was_made_by(pipeline, copy, desk):
    copied = copy("scores", "copy")
    assert copied["outputs"][0]["digest"] == pipeline[2]["outputs"][0]["digest"]
    found = desk.json("lineage", "scores")
    assert [job["uid"] for job in found["jobs"]] == [job["uid"] for job in reversed(pipeline)]
    assert found["same_content"] == [copied["uid"]]
    assert found["artifacts"][0]["path"] == "scores"
    assert [job["uid"] for job in desk.json("lineage", "copy")["jobs"]][:2] == [copied["uid"], pipeline[2]["uid"]]
    assert desk.json("lineage", found["root"])["jobs"][0]["uid"] == pipeline[2]["uid"], "by digest, too"
    assert (desk.json("diff", "scores", "copy")["a"], desk.json("diff", "scores", "copy")["b"]) == (
        pipeline[2]["uid"], copied["uid"])
    assert "that is one job" in desk.roar("diff", "scores", "@3").stdout


def test_dag_text_json_and_drawing(pipeline, copy, desk):
    copy("raw", "data", "1")
    graph = desk.json("dag")
    jobs = {node["step"]: node for node in graph["nodes"] if node["type"] == "job"}
    assert sorted(jobs) == [1, 2, 3]
    assert jobs[1]["earlier"] == [pipeline[0]["uid"]]
    names = {node["id"] for node in graph["nodes"]}
    assert all(edge["source"] in names and edge["target"] in names for edge in graph["edges"])
    assert len([node for node in desk.json("dag", "--all")["nodes"] if node["type"] == "job"]) == 4
    lines = desk.roar("dag").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["●", "@1"], ["↳", "@2"], ["↳", "@3"]]
    assert " x2 " in lines[0]
    desk.roar("dag", "--svg", "dag.svg")
    picture = ET.fromstring((desk.root / "dag.svg").read_text())
    space = "{http://www.w3.org/2000/svg}"
    assert len(picture.findall(f".//{space}rect")) == 3
    assert len(picture.findall(f".//{space}path")) == 2
    assert desk.roar("dag", "--svg", "-").stdout == (desk.root / "dag.svg").read_text()
    assert "cannot be written" in desk.roar("dag", "--svg", "no/such/folder.svg", status=1).stderr


def test_lists_say_in_which_folder_a_command_ran(desk):
    desk.init()
    for folder in ("one", "two"):
        desk.write(f"{folder}/in", folder)
        desk.roar("run", "cp", "in", "out", cwd=desk.root / folder)
    desk.roar("run", "cat", "one/out", "two/out")
    for verb in (["log"], ["dag"], ["lineage", "one/out", "--direction", "both"]):
        lines = [line for line in desk.roar(*verb).stdout.splitlines() if "cp in out" in line]
        assert lines, verb
        assert all(line.count("cp in out  (in ") == 1 for line in lines), lines
        assert not [line for line in desk.roar(*verb).stdout.splitlines() if "cat" in line and "(in " in line]


def test_status_sees_what_is_stale_changed_and_gone(pipeline, copy, desk):
    def states():
        return {output["path"]: output["state"] for output in desk.json("status")["outputs"]}

    assert states() == {"data": "fresh", "model": "fresh", "scores": "fresh"}
    desk.write("model", "edited by hand")
    assert states() == {"data": "fresh", "model": "changed", "scores": "stale"}
    (desk.root / "scores").unlink()
    assert states()["scores"] == "gone"
    copy("data", "model", "2")
    copy("model", "scores", "3")
    assert set(states().values()) == {"fresh"}
    desk.write("raw", "other raw")
    assert states() == {"data": "stale", "model": "stale", "scores": "stale"}
    text = desk.roar("status").stdout
    assert "its input raw has changed since" in text
    copy("raw", "data", "1")
    assert states() == {"data": "fresh", "model": "stale", "scores": "stale"}
    assert "its input data was written again by @1" in desk.roar("status").stdout


def test_status_says_which_job_moved_an_output_away(desk):
    desk.write("make.py", MAKE_FOLDER)
    desk.init()
    desk.roar("run", sys.executable, "make.py", "0", "150", "a")
    desk.roar("run", "sh", "-c", "echo one > few; echo two > alone")
    desk.roar("run", "mv", "few", "many")
    desk.roar("run", "mv", "d", "e")
    os.unlink(desk.root / "alone")
    states = {output["path"]: (output["state"], output["reason"]) for output in desk.json("status")["outputs"]}
    assert states == {"alone": ("gone", "no longer there"), "few": ("gone", "deleted or moved away by @3"),
                      "d/": ("gone", "deleted or moved away by @4"), "many": ("fresh", None), "e/": ("fresh", None)}
    desk.roar("run", "mv", "e/9", "nine")
    states = {output["path"]: (output["state"], output["reason"]) for output in desk.json("status")["outputs"]}
    assert states["e/"] == ("fresh", None)
    os.unlink(desk.root / "e" / "8")
    states = {output["path"]: output["reason"] for output in desk.json("status")["outputs"]}
    assert states["e/"] == "no longer what @4 wrote: e/8 is gone"
    desk.roar("run", sys.executable, "make.py", "0", "150", "a")
    assert all(output["reason"] is None for output in desk.json("status")["outputs"] if output["path"] == "d/")


@pytest.mark.parametrize(("take", "left"), [
    ("for i in range(150): os.rename(f'd/{i}', f'd/{i}.done')", ["d/"]),
    ("for i in range(150): open(f'd/{i}').read(); os.unlink(f'd/{i}')", ["d/"]),
    ("for i in range(300): os.rename(f'd/{i}', f'e/{i}')", [])])
def test_what_a_later_job_took_away_from_a_dataset_is_no_change_of_it(desk, take, left):
    desk.write("make.py", MAKE_FOLDER)
    desk.write("take.py", f"import os\nos.makedirs('e', exist_ok=True)\n{take}\n")
    desk.init()
    desk.roar("run", sys.executable, "make.py", "0", "300", "a")
    desk.roar("run", sys.executable, "take.py")

    def outputs():
        return [output for output in desk.json("status")["outputs"] if output["step"] == 1]

    assert [(output["path"], output["state"], output["reason"]) for output in outputs()] == (
        [("d/", "fresh", None)] if left else [("d/", "gone", "deleted or moved away by @2")])
    assert "roar run @1" not in desk.roar("status").stdout
    items = json.loads(desk.roar("status", "--checklist", "--json", status=None).stdout)["checklist"]
    assert next(item["passed"] for item in items if item["title"] == "the outputs are up to date") is True
    if left:
        desk.write("d/5", "by hand")
        assert [output["reason"] for output in outputs()] == ["no longer what @1 wrote"]
        os.unlink(desk.root / "d" / "5")
        os.unlink(desk.root / "d" / "200")
        assert [output["reason"] for output in outputs()] == ["no longer what @1 wrote: d/200 is gone"]


def test_an_edit_of_what_a_later_step_wrote_is_not_to_be_undone(desk):
    desk.write("edit.py", "import os\nold = open('o').read() if os.path.exists('o') else ''\n"
               "open('o', 'w').write(old + 'x')\n")
    desk.roar("run", sys.executable, "edit.py")
    desk.roar("run", "sh", "-c", "cat o > tmp; echo new > o")
    desk.roar("run", sys.executable, "edit.py")
    states = {output["path"]: (output["step"], output["state"]) for output in desk.json("status")["outputs"]}
    assert states["o"] == (1, "fresh")
    assert "roar run @2" not in desk.roar("status").stdout


def test_what_an_earlier_job_of_a_step_made_is_looked_after(desk):
    """As a build tool leaves it where only the last of two files has to be made again."""
    desk.write("build.sh", "[ -e mid ] || cat raw other > mid\ncat mid > out\necho $$ > log\n")
    desk.write("raw", "1")
    desk.write("other", "1")
    desk.roar("run", "sh", "build.sh")
    os.unlink(desk.root / "out")
    desk.roar("run", "sh", "build.sh")
    desk.roar("run", "cp", "out", "copy")

    def outputs():
        return {output["path"]: (output["state"], output["reason"]) for output in desk.json("status")["outputs"]}

    assert set(outputs().items()) == {(path, ("fresh", None)) for path in ("mid", "out", "log", "copy")}
    desk.write("raw", "2")
    changed = ("stale", "its input raw has changed since")
    assert outputs() == {"mid": changed, "out": changed, "log": changed,
                         "copy": ("stale", "@1, which it took inputs from, is stale")}
    desk.write("mid", "by hand")
    assert outputs()["mid"] == ("changed", "no longer what @1 wrote")
    os.unlink(desk.root / "mid")
    assert outputs()["out"][0] == "stale"
    desk.roar("run", "@1")
    desk.roar("run", "@2")
    assert {state for state, _ in outputs().values()} == {"fresh"}


def test_a_rerun_that_failed_hides_nothing_of_the_one_that_ended_well(desk):
    desk.write("t.py", "d = open('d').read()\nassert int(d) < 5\nopen('m', 'w').write(d)\n")
    desk.write("d", "1")
    desk.roar("run", sys.executable, "t.py")
    desk.roar("run", "cp", "m", "m2")
    desk.write("d", "9")
    desk.roar("run", "@1", status=1)

    def seen():
        items = json.loads(desk.roar("status", "--checklist", "--json", status=None).stdout)["checklist"]
        hints = {item["hint"] for item in items if item["title"] in {"the outputs are up to date",
                                                                     "every step ended well"}}
        return {output["path"]: output["state"] for output in desk.json("status")["outputs"]}, hints

    again = "mv m .roar/m.old && roar run @1 || mv -nT .roar/m.old m"
    assert seen() == ({"m": "stale", "m2": "stale"}, {again})
    subprocess.run(["sh", "-c", again.replace("roar run", f"{sys.executable} -m roar run")], cwd=desk.root,
                   env=desk.env, check=True, capture_output=True)
    assert seen() == ({"m": "stale", "m2": "stale"}, {"roar show @1"})
    os.unlink(desk.root / "m")
    assert seen() == ({"m": "gone", "m2": "stale"}, {"roar show @1"})
    desk.write("d", "1")
    assert seen()[0] == {"m": "gone", "m2": "fresh"}
    desk.roar("run", "@1")
    assert seen() == ({"m": "fresh", "m2": "fresh"}, {None})


def test_reruns_that_leave_a_file_each_are_not_all_listed(desk):
    desk.write("t.py", "import os, time\nopen('data').read()\nos.makedirs('runs', exist_ok=True)\n"
               "open(f'runs/{len(os.listdir(\"runs\"))}', 'w').write(str(time.time_ns()))\n")
    desk.write("data", "1")
    for _ in range(4):
        desk.roar("run", sys.executable, "t.py")

    def outputs():
        return [(output["path"], output["state"]) for output in desk.json("status")["outputs"]]

    assert outputs() == [("runs/3", "fresh")]
    desk.roar("run", "cp", "runs/1", "best")
    assert outputs() == [("best", "fresh"), ("runs/1", "fresh"), ("runs/3", "fresh")]
    desk.write("data", "2")
    assert outputs() == [("best", "stale"), ("runs/1", "stale"), ("runs/3", "stale")]


def test_status_lists_what_did_not_end_well(desk):
    desk.roar("run", "false", status=1)
    assert "exit 1" in desk.roar("status").stdout


MAKE_FOLDER = """import os, sys
os.makedirs("d", exist_ok=True)
for name in range(int(sys.argv[1]), int(sys.argv[2])):
    open(f"d/{name}", "w").write(sys.argv[3] + str(name))
"""


@pytest.fixture
def rewritten(desk):
    """A dataset, one file of which a later job has written anew."""
    desk.write("make.py", MAKE_FOLDER)
    desk.init()
    jobs = []
    for words in (("0", "150", "a"), ("7", "8", "b")):
        desk.roar("run", sys.executable, "make.py", *words)
        jobs.append(desk.job()["uid"])
    return jobs


def test_a_folder_is_told_although_a_job_has_rewritten_a_file_of_it(rewritten, desk):
    shown = desk.json("show", "d")
    assert {use["job"] for use in shown["produced_by"]} == set(rewritten)
    assert (shown["files"], shown["gone"], shown["changed"]) == (150, [], [])
    answer = desk.roar("lineage", "d", "--json")
    assert {job["uid"] for job in json.loads(answer.stdout)["jobs"]} == set(rewritten)
    assert answer.stderr == ""


def test_what_of_a_folder_is_no_longer_as_recorded_is_named(rewritten, desk):
    desk.write("d/3", "by hand")
    os.unlink(desk.root / "d" / "5")
    os.unlink(desk.root / "d" / "6")
    shown = desk.json("show", "d")
    assert (shown["gone"], shown["changed"]) == (["5", "6"], ["3"])
    assert "no longer as recorded\n    3\n" in desk.roar("show", "d").stdout
    told = "roar: 5 and 1 more in d/ are not there now.\nroar: 3 in d/ is no longer as recorded.\n"
    assert desk.roar("lineage", "d").stderr == told
    assert desk.roar("inputs", "d").stderr == told
    shutil.rmtree(desk.root / "d")
    assert "d/0 of" in desk.roar("show", "d", status=1).stderr, "of a dataset that is gone the recorded ones are named"


def test_what_no_job_made_is_a_root_input_itself(copy, desk):
    copy("raw", "data")
    assert desk.roar("inputs", "raw").stderr == "roar: No recorded job made raw: it is a root input itself.\n"
    assert desk.roar("inputs", "data").stderr == ""


def test_inputs_are_the_roots(pipeline, desk):
    assert [root["path"] for root in desk.json("inputs")["inputs"]] == ["raw"]
    assert [root["path"] for root in desk.json("inputs", "scores")["inputs"]] == ["raw"]
    desk.roar("reset")
    desk.roar("run", sys.executable, "append.py", "scores", "report", "")
    roots = desk.json("inputs")["inputs"]
    assert [(root["path"], root["made_by"]) for root in roots] == [("scores", pipeline[2]["uid"])]
    assert "made by job" in desk.roar("inputs").stdout


def test_dag_with_all_folds_no_rerun(desk, tmp_path):
    for status in (3, 0, 0):
        desk.roar("run", "sh", "-c", f"test ! -e {tmp_path}/once && touch {tmp_path}/once && exit 3; exit 0",
                  status=status)
    jobs = desk.json("log")["jobs"]
    assert [job["step"] for job in jobs] == [1, 1, 1]
    assert len(desk.roar("dag").stdout.splitlines()) == 1
    lines = desk.roar("dag", "--all").stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["before:", job["uid"][:8]] for job in jobs[1:]]
    assert (lines[1].endswith("  ok"), lines[2].endswith("  exit 3")) == (True, True)
    picture = desk.roar("dag", "--all", "--svg", "-", env={"NO_COLOR": "", "FORCE_COLOR": "1"}).stdout
    assert f"\nbefore: {jobs[2]['uid'][:8]} " in picture
    assert "x1b" not in picture


@pytest.mark.parametrize("settings", [[], ["diff.noprefix", "true"], ["diff.mnemonicPrefix", "true"]])
def test_uncommitted_changes_of_data_are_no_change_of_code(desk, settings):
    odd = "sub/it's\t ünd.csv"
    desk.write("t.py", f"import os\n[open(p).read() for p in ('a.csv', {odd!r})]\n"
                       "[open(f'many/{n}').read() for n in os.listdir('many')]\n")
    for name in ("a.csv", odd, *(f"many/{number}" for number in range(120))):
        desk.write(name, "1\n")
    desk.init()
    if settings:
        desk.git("config", *settings)
    desk.roar("run", "python", "t.py")
    for name in ("a.csv", odd, "many/7"):
        desk.write(name, "2\n")
    desk.roar("run", "python", "t.py")
    one, two = (job["uid"] for job in desk.json("log")["jobs"][::-1])
    found = desk.json("diff", one, two)
    assert (found["likely_causes"], found["code"], found["code_diff"]) == (["inputs"], [], "")
    desk.write("t.py", (desk.root / "t.py").read_text() + "# a change\n")
    desk.roar("run", "python", "t.py")
    found = desk.json("diff", two, "@-1")
    assert found["likely_causes"] == ["code"]
    assert "+# a change" in found["code_diff"]
    assert "many/7" not in found["code_diff"]


def test_options_of_the_interpreter_shift_no_parameter_of_the_script(desk):
    desk.write("t.py", "")
    desk.roar("run", "python", "t.py", "a", "b")
    desk.roar("run", "python", "-O", "-W", "ignore", "-Xdev", "t.py", "a", "b")
    changes = {change["name"]: (change["before"], change["after"]) for change in
               desk.json("diff", "@1", "@2")["parameters"]}
    assert changes == {"python -O": (None, "given"), "python -W": (None, "ignore"), "python -X": (None, "dev")}


def test_a_tracker_run_of_several_jobs_stands_for_all_of_them(desk):
    url = "https://wandb.ai/me/proj/runs/abc12345"
    script = ("import os, sys\nd = f'wandb/run-2026112{sys.argv[1]}_105719-abc12345'\nos.makedirs(d + '/files')\n"
              "open(d + '/run-abc12345.wandb', 'wb').write(b':W&B' + bytes(50))\n"
              f"sys.stderr.write('wandb: View run at {url}\\n')\n"
              "open('model' + sys.argv[1], 'w').write(sys.argv[1])\n")
    desk.write("wb.py", script)
    for number in "12":
        desk.roar("run", sys.executable, "wb.py", number)
    desk.roar("run", "cp", "model1", "copy")
    jobs = [job["uid"] for job in desk.json("log")["jobs"][::-1]]
    for ref in (url, "abc12345"):
        found = desk.json("lineage", ref, "--both")
        assert ({job["uid"] for job in found["jobs"]}, found["root"], found["kind"]) == ({*jobs}, ref, "tracker run")
    said = desk.roar("lineage", url, "--down").stdout
    assert said.startswith(f"tracker run {url}  of 2 jobs\n")
    assert all(f"made by @{step} " in said for step in (1, 2))
    assert "after it @3 " in said
    done = desk.roar("diff", url, "@3", status=1)
    assert done.stderr.startswith(f"roar: 2 jobs wrote to the tracker run {url}: name one of them.\n")
    assert all(f"job {uid[:12]}" in done.stderr for uid in jobs[:2])


def test_diff_tells_the_likely_cause_first(copy, desk):
    copy("raw", "data", "1")
    copy("raw", "data", "2")
    found = desk.json("diff", "@1", "@2")
    assert found["likely_causes"] == ["parameters"]
    assert [change["before"] for change in found["outputs"]] != [change["after"] for change in found["outputs"]]
    assert "likely cause: parameters" in desk.roar("diff", "@1", "@2").stdout
    desk.write("append.py", COPY + "\n# a change\n")
    copy("raw", "data", "2")
    same = desk.json("log")["jobs"][:2]
    assert desk.json("diff", same[1]["uid"], same[0]["uid"])["likely_causes"] == ["code"]
    text = desk.roar("diff", same[1]["uid"], same[0]["uid"], "--code").stdout
    assert "the outputs are the same" in text
    assert "+# a change" in text
    desk.git("commit", "-qam", "change")
    copy("raw", "data", "2")
    text = desk.roar("diff", same[1]["uid"], "@-1", "--code").stdout
    assert "\n+# a change" in text


def test_labels(pipeline, desk):
    assert desk.json("label", "@1", "owner=alice", "note=a=b") == {"labels": {"note": "a=b", "owner": "alice"}}
    assert desk.job("@1")["labels"] == {"note": "a=b", "owner": "alice"}
    assert desk.json("label", "@1", "--unset", "note") == {"labels": {"owner": "alice"}}
    desk.roar("label", "@1", "--unset", "note", status=1)
    desk.roar("label", "@1", "key=value", "noequals", status=2)
    assert desk.json("label", "data", "quality=good") == {"labels": {"quality": "good"}}
    assert desk.json("label", "@", "paper=x") == {"labels": {"paper": "x"}}
    assert desk.json("show", "@")["labels"] == {"paper": "x"}


def test_pop_leaves_files_alone(pipeline, desk):
    assert "left in place" in desk.roar("pop").stdout
    assert (desk.root / "scores").exists()
    assert [job["step"] for job in desk.json("log")["jobs"]] == [2, 1]


def test_pop_deletes_only_what_is_surely_the_job_s(desk):
    desk.write("tracked", "t")
    desk.init()
    desk.write("appended", "before\n")
    script = ("for name in ('own', 'edited', 'tracked'): open(name, 'w').write(name)\n"
              "open('appended', 'r+').readline(); open('appended', 'a').write('more')")
    desk.roar("run", sys.executable, "-c", "open('shared', 'w').write('same')")
    desk.roar("run", sys.executable, "-c", script + "; open('shared', 'w').write('same')")
    desk.write("edited", "by hand")
    assert desk.json("pop", "--delete-outputs")["deleted"] == ["own"]
    desk.write("shared", "by hand")
    assert "kept    shared\n1 output left in place; only what is surely this job's" in (
        desk.roar("pop", "--delete-outputs").stdout)
    left = {path.name for path in desk.root.iterdir()}
    assert left >= {"edited", "tracked", "appended", "shared"}
    assert "own" not in left


def test_files_that_the_settings_leave_out(desk):
    desk.roar("config", "filters.remove", '["**/*.log", "./scratch/"]')
    desk.write("a.log", "1")
    desk.write("x/b.log", "2")
    desk.roar("run", "sh", "-c", "mkdir scratch; cat a.log x/b.log > scratch/o; cp scratch/o o; cp a.log c.log")
    job = desk.job()
    assert ([use["path"] for use in job["inputs"]], [use["path"] for use in job["outputs"]]) == ([], ["o"])
    shown = desk.roar("show", "--all").stdout
    assert "4 filters" in shown
    assert "    filters: paths that the setting filters.remove names\n" in shown


def test_config_lists_sets_and_unsets(desk):
    desk.roar("init")
    assert desk.json("config")["glaas.url"] == {"value": None, "origin": "default"}
    path = desk.root / ".roar" / "config.toml"
    path.write_text("# mine\n[datasets]\nthreshold = 5  # five\n")
    desk.roar("config", "glaas.url", "http://127.0.0.1:8420")
    desk.roar("config", "datasets.threshold", "9")
    desk.roar("config", "analyzers.experiment_trackers.wandb", "false")
    desk.roar("config", "filters.add", "a/*, b'\"")
    assert path.read_text().startswith("# mine\n[datasets]\nthreshold = 9\n")
    assert desk.roar("config", "datasets.threshold").stdout == "9\n"
    found = desk.json("config")
    assert found["filters.add"]["value"] == ["a/*", "b'\""]
    assert found["analyzers.experiment_trackers.wandb"]["value"] is False
    assert found["glaas.url"]["origin"].startswith(f"{path}:")
    desk.roar("config", "glaas.url", "--unset")
    assert desk.json("config")["glaas.url"]["value"] is None
    said = desk.roar("config", "datasets.threshold", "many", status=1).stderr
    assert said == "roar: command line: datasets.threshold must be a whole number, not 'many'.\n"
    desk.roar("config", "no.such", status=1)
    desk.roar("config", "--user", "tracer.mode", "preload")
    assert desk.json("config", "tracer.mode")["tracer.mode"]["origin"].startswith(str(desk.home))


def test_config_refuses_what_it_cannot_edit(desk):
    desk.roar("init")
    path = desk.root / ".roar" / "config.toml"
    text = "[filters]\nadd = [\n  'a',\n]\n"
    path.write_text(text)
    assert "cannot edit" in desk.roar("config", "filters.add", "b", status=1).stderr
    assert path.read_text() == text


def test_one_switch_for_all_trackers_replaces_the_single_ones(desk):
    key = "analyzers.experiment_trackers"
    desk.roar("config", "glaas.url", "http://127.0.0.1:8420")
    desk.roar("config", f"{key}.wandb", "false")
    desk.roar("config", f"{key}.mlflow", "false")
    said = desk.roar("config", key, "true").stdout
    assert "in place of the switches there of" in said
    assert "wandb" in said
    assert desk.json("config", key)[key]["value"] is True
    assert f"{key}.wandb" not in desk.json("config")
    assert desk.json("config", "glaas.url")["glaas.url"]["value"] == "http://127.0.0.1:8420"
    desk.roar("config", key, "--unset")
    desk.roar("config", f"{key}.wandb", "false")
    desk.roar("config", key, "--unset")
    assert desk.json("config", key)[key]["origin"] == "default"


def test_config_says_in_one_sentence_that_it_cannot_write(desk):
    desk.roar("init")
    path = desk.root / ".roar" / "config.toml"
    path.symlink_to("missing/config.toml")
    done = desk.roar("config", "datasets.threshold", "9", status=1)
    assert done.stderr == f"roar: {path} cannot be written: No such file or directory.\n"
    path.unlink()
    path.mkdir()
    done = desk.roar("config", "datasets.threshold", "9", status=1)
    assert done.stderr == f"roar: {path} cannot be read: Is a directory.\n"


def test_a_switch_of_no_tracker_is_refused(desk):
    desk.roar("init")
    path = desk.root / ".roar" / "config.toml"
    done = desk.roar("config", "analyzers.experiment_trackers.wanbd", "false", status=1)
    assert "Did you mean 'wandb'?" in done.stderr
    assert not path.exists()
    path.write_text("[analyzers.experiment_trackers]\nwandb = false\nwanbd = false\n")
    for verb in ("config", "trackers"):
        done = desk.roar(verb, status=1)
        assert done.stderr.startswith(f"roar: {path}:3: there is no setting 'analyzers.experiment_trackers.wanbd'")
        assert "Did you mean 'wandb'?" in done.stderr
    assert "wandb " in done.stdout
    desk.roar("config", "analyzers.experiment_trackers.wanbd", "--unset")
    desk.roar("config")


def test_config_refuses_what_is_no_server(desk):
    desk.roar("init")
    assert "must be an http or https address" in desk.roar("config", "glaas.url", "ftp://x", status=1).stderr
    assert desk.json("config")["glaas.url"]["value"] is None


def test_trackers_say_what_switches_them(desk):
    desk.roar("init")
    (desk.root / ".roar" / "config.toml").write_text("[analyzers.experiment_trackers]\nwandb = false\n")
    found = desk.json("trackers")
    rows = {row["name"]: row for row in found["trackers"]}
    assert rows["wandb"]["on"] is False
    assert rows["wandb"]["origin"].endswith("config.toml:2")
    assert rows["mlflow"]["on"] is True
    assert rows["mlflow"]["label"] == "MLflow"
    assert found["unknown"] == []
    desk.roar("run", "true")
    assert "No offline run" in desk.roar("trackers", "refresh").stdout


def test_doctor(desk):
    desk.roar("run", "true")
    checks = {check["name"]: check for check in desk.json("doctor")["checks"]}
    assert checks["record"]["ok"] is True
    assert checks["record"]["text"].startswith("1 job, 0 artifacts, ")
    assert checks["tracer"]["ok"] is True
    setting = "/proc/sys/kernel/io_uring_disabled"
    with open(setting if os.path.exists(setting) else os.devnull, encoding="ascii") as file:
        rings = file.read() != "2\n"
    assert ("torchrun" in checks["io_uring"]["text"] if rings else "io_uring" not in checks)
    (desk.root / ".roar" / "config.toml").write_text("[nonsense]\nx = 1\n")
    assert "wrong settings" in desk.roar("doctor", status=1).stdout


def test_doctor_tells_what_hints_have_put_aside(desk):
    desk.roar("run", "true")
    assert "aside" not in {check["name"] for check in desk.json("doctor")["checks"]}
    desk.write(".roar/data.csv.old", "x" * 500)
    desk.write(".roar/cache.old2/a/b", "x" * 500)
    check = next(check for check in desk.json("doctor")["checks"] if check["name"] == "aside")
    assert check["text"].startswith("2 files put aside before a step ran anew, 1000 B;")
    listed = subprocess.run(["sh", "-c", check["hint"]], check=True, capture_output=True, text=True).stdout
    assert [line.rpartition("/")[2] for line in listed.splitlines()] == ["cache.old2", "data.csv.old"]


def test_recover_finishes_a_job_whose_roar_was_killed(desk):
    code = "import time; open('made', 'w').write('x'); time.sleep(2)"
    with desk.start("run", "--", sys.executable, "-c", code) as process:
        while not (desk.root / "made").exists() and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    listed = desk.json("recover", "--list")
    assert len(listed["running"]) == 1, "the command lives on without roar"
    until = time.monotonic() + 30
    while not (listed := desk.json("recover", "--list"))["waiting"] and time.monotonic() < until:
        time.sleep(0.2)
    (uid,) = listed["waiting"]
    assert desk.json("recover")["recovered"] == [uid]
    assert "made" in {use["path"] for use in desk.job(uid)["outputs"]}
    assert desk.roar("recover").stdout == "Every job is recorded.\n"


def test_a_full_disk_is_no_reason_to_discard_a_job(desk):
    if os.getuid() != 0:
        pytest.skip("needs root to mount")
    folder = desk.root / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], check=True)
    try:
        desk.roar("init", "--here", cwd=folder)
        fill = "echo x > out; dd if=/dev/zero of=fill bs=1k 2> fill.log; truncate -s -40k fill"
        desk.roar("run", "sh", "-c", fill, cwd=folder, status=None)
        done = desk.roar("recover", cwd=folder, status=1)
        assert "  try: df -h .roar\n" in done.stderr
        (folder / "fill").unlink()
        assert "is recorded now" in desk.roar("recover", cwd=folder).stdout
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_no_step_has_a_number_that_sqlite_does_not_know(desk):
    desk.roar("run", "true")
    for verb in ("run", "show", "lineage"):
        assert desk.roar(verb, "@" + "9" * 20, status=1).stderr.startswith("roar: This session has no @99999")


def test_the_unfolded_graph_names_every_output(desk):
    desk.python("for n in range(12): open(f'o{n:02}.' + 'abcdefghijkl'[n], 'w').write(str(n))")
    assert desk.roar("dag").stdout.endswith(" +9\nOutputs are cut; all of them in full: roar dag --all\n")
    assert desk.roar("dag", "--all").stdout.endswith(", o10.k, o11.l\n")
    assert "o11.l" in desk.roar("dag", "--all", "--svg", "-").stdout


def test_a_drawing_does_not_take_the_place_of_the_record(desk):
    desk.roar("run", "true")
    done = desk.roar("dag", "--svg", ".roar/roar.db", status=1)
    assert done.stderr.startswith("roar: .roar/roar.db is in the folder of the record")
    assert len(desk.json("log")["jobs"]) == 1


def test_discard(desk):
    desk.roar("init")
    folder = desk.root / ".roar" / "pending" / ("ab" * 16)
    folder.mkdir(parents=True)
    (folder / "job.json").write_text("nonsense")
    done = desk.roar("recover", status=1)
    assert "roar recover --discard abababab" in done.stderr
    desk.roar("recover", "--discard", "zz", status=1)
    desk.roar("recover", "--discard", "abab")
    assert not folder.exists()


def test_evidence_that_holds_nothing_is_named_and_in_nobody_s_way(desk):
    desk.roar("run", "true")
    folder = desk.root / ".roar" / "pending" / ("ab" * 16)
    folder.mkdir(parents=True)
    for verb in ("status", "log", "reset"):
        assert desk.roar(verb).stderr == ""
    desk.roar("run", "true")
    done = desk.roar("recover", status=1)
    assert "holds nothing of the command" in done.stderr
    assert "try: roar recover --discard abababab" in done.stderr
    desk.roar("recover", "--discard", "abab")
    assert not folder.exists()
    assert desk.roar("recover").stdout == "Every job is recorded.\n"


def test_evidence_of_another_user_is_left_to_that_one(desk):
    desk.roar("run", "true")
    folder = desk.root / ".roar" / "pending" / ("ab" * 16)
    folder.mkdir(parents=True)
    (folder / "job.json").write_text("{}")
    folder.chmod(0)
    desk.be_anybody()
    done = desk.roar("recover", status=1)
    assert done.stderr.endswith("is for its owner to read, who has to run roar recover\n  try: ls -l .roar/pending\n")
    done = desk.roar("recover", "--discard", "abab", status=1)
    assert done.stderr.startswith("roar: The evidence in ")
    assert "Traceback" not in done.stderr
    folder.chmod(0o700)


def test_where_the_record_is_at_fault_no_evidence_is_to_be_discarded(desk):
    desk.roar("run", "true")
    record = desk.root / ".roar" / "roar.db"
    desk.be_anybody()
    desk.write("in", "1")
    record.chmod(0o444)
    desk.roar("run", "cp", "in", "out")
    done = desk.roar("recover", status=1)
    assert "cannot be recorded" in done.stderr
    assert "--discard" not in done.stderr
    record.chmod(0o644)
    assert "1 job recovered" in desk.roar("recover").stdout
    assert [use["path"] for use in desk.job()["outputs"]] == ["out"]


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o664), (0o022, 0o644), (0o077, 0o600)])
def test_who_else_may_write_the_record_is_as_the_umask_says(desk, umask, mode):
    desk.roar("run", "true", preexec_fn=lambda: os.umask(umask))
    assert (desk.root / ".roar" / "roar.db").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("verb", ["pop", "status", "register", "log"])
def test_a_broken_record_is_told_once(desk, verb):
    desk.roar("init")
    (desk.root / ".roar" / "roar.db").write_text("no database at all" * 100)
    desk.roar("run", "true")
    assert desk.roar(verb, status=1).stderr.count("roar.db is broken") == 1


@pytest.mark.parametrize("arguments", [("log", "-n", "-1"), ("log", "-n", "many"), ("ui", "--port", "99999"),
                                       ("ui", "--port", "-1")])
def test_numbers_that_make_no_sense_are_usage_errors(desk, arguments):
    desk.roar("run", "true")
    done = desk.roar(*arguments, status=2)
    assert f"try: roar {arguments[0]} --help" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_sound(desk, shell):
    script = desk.roar("completion", shell).stdout
    check = subprocess.run([shell, "-n", "-c", script] if shell != "fish" else [shell, "--no-execute", "-c", script],
                           capture_output=True, text=True, check=False) if _has(shell) else None
    if check is None:
        pytest.skip(f"{shell} is not installed")
    assert check.returncode == 0, check.stderr


def _has(shell):
    return which(shell) is not None


def test_completion_words(pipeline, desk):
    def words(*typed):
        return desk.roar("completion", "words", "--", *typed).stdout.split()

    assert words("sh") == ["show"]
    assert "run" in words("")
    assert words("show", "@") == ["@-1", "@3", "@2", "@1"]
    assert "--all" in words("show", "--")
    assert words("log", "--tr") == ["--tracker"]
    assert words("config", "glaas") == ["glaas.url"]
    assert words("nosuch", "--") == []
    assert words("run", "--") == words("run", "--name", "n", "--") == ["--label", "--name", "--quiet"]
    assert words("run", "python", "--") == words("run", "--", "--") == words("run", "--name", "--") == []
    assert words("run", "@") == words("run", "--name", "n", "@") == ["@-1", "@3", "@2", "@1"]
    assert words("run", "--label", "k", "=", "v", "@") == words("run", "--name", "=", "n", "@") == words("run", "@")
    for value in (["--name"], ["--name", "="], ["--label"], ["--label", "k", "="]):
        assert words("run", *value, "@") == []
    assert words("--") == ["--help", "--version"]
    assert words("--v") == ["--version"]
    assert words("-x") == []
    assert words("config", "tracer.mode", "") == ["auto", "full", "seccomp", "preload", "none"]
    assert words("config", "analyzers.experiment_trackers", "f") == ["false"]
    typed = 'eval "$SCRIPT"; COMP_WORDS=(roar show @); COMP_CWORD=2; _roar; echo ${COMPREPLY[@]}'
    found = subprocess.run(["bash", "-c", typed], capture_output=True, text=True, check=True, cwd=desk.root,
                           env={**desk.env, "SCRIPT": desk.roar("completion", "bash").stdout})
    assert found.stdout.split() == ["@-1", "@3", "@2", "@1"]


@pytest.mark.parametrize("name", ["new\nline.txt", "\x1b[31m", "\u2028", "\udcff\\n", "\x85", "a\\b\tc"])
def test_a_path_can_be_typed_as_an_answer_shows_it(desk, name):
    desk.init()
    desk.roar("run", sys.executable, "-c", "import os, sys; os.mkdir('out'); open(sys.argv[1], 'w').write('x')",
              f"out/{name}")
    digest = desk.job()["outputs"][0]["digest"]
    shown = next(line for line in desk.roar("show").stdout.splitlines() if digest[:12] in line).split()[-1]
    assert "\\" in shown, "it is escaped"
    assert desk.json("show", shown)["digest"] == digest
    assert desk.roar("lineage", shown).returncode == 0


def test_what_is_typed_goes_before_what_it_may_mean(desk):
    desk.init()
    code = "import sys; [open(name, 'w').write(repr(name)) for name in sys.argv[1:]]"
    desk.roar("run", sys.executable, "-c", code, "a\\nb", "a\nb")
    digests = {use["path"]: use["digest"] for use in desk.job()["outputs"]}
    assert desk.json("show", "a\\nb")["digest"] == digests["a\\nb"]
    assert desk.json("show", "a\\\\nb")["digest"] == digests["a\\nb"]
    assert desk.json("show", "a\nb")["digest"] == digests["a\nb"]


def test_a_path_from_the_workspace_s_root_is_known_in_a_folder_below(desk):
    desk.init()
    desk.roar("run", "sh", "-c", "mkdir -p sub/sub out/deep; echo 1 > sub/x; echo 2 > sub/sub/x; echo 3 > out/deep/y")
    digests = {use["path"]: use["digest"] for use in desk.job()["outputs"]}
    below = {"cwd": desk.root / "sub"}

    def shown(ref):
        return json.loads(desk.roar("show", ref, "--json", **below).stdout)["digest"]

    assert shown("out/deep/y") == digests["out/deep/y"]
    assert shown("sub/x") == digests["sub/sub/x"], "what is known from here goes first"
    (desk.root / "sub" / "sub" / "x").write_text("other")
    assert "sub/sub/x" in desk.roar("show", "sub/x", status=1, **below).stderr
    assert "out/deep/y" in desk.roar("show", "out/deep/", **below).stdout
    (desk.root / "sub" / "out").mkdir()
    (desk.root / "sub" / "out" / "new").write_text("new")
    (desk.root / "out" / "new").write_text("3\n")
    assert "'out/new'" in desk.roar("show", "out/new", status=1, **below).stderr, "what lies here is meant"
    assert "'./sub/x'" in desk.roar("show", "./sub/x", status=1, cwd=desk.root / "out").stderr


DRAW = ("dag", "--svg")
EXPORT = ("export", "--format", "prov", "--output")


@pytest.fixture
def filled(desk):
    """Files that are code, committed, inputs, outputs or members of a dataset, each with its own content."""
    desk.write("README.md", "committed")
    desk.init()
    desk.write("raw", "raw")
    desk.write("new.py", "x = 1")
    code = ("import os, shutil; os.mkdir('set'); open('made', 'w').write(open('raw').read() + '!')\n"
            "for n in range(150): open(f'set/{n}', 'w').write(str(n))")
    desk.roar("run", sys.executable, "-c", code)
    (desk.root / "link").symlink_to("made")
    (desk.root / "sub").mkdir()
    return desk


@pytest.mark.parametrize("verb", [DRAW, EXPORT], ids=" ".join)
def test_an_answer_replaces_neither_code_nor_data(filled, verb):
    reasons = {"README.md": "is tracked by git", "new.py": "is source code"}
    for name in (*reasons, "raw", "made", "link", "set/7"):
        before = (filled.root / name).read_bytes()
        for path, cwd in ((name, filled.root), (f"../{name}", filled.root / "sub")):
            said = filled.roar(*verb, path, status=1, cwd=cwd).stderr.splitlines()
            reason = reasons.get(name, "was read or written by a recorded job")
            assert said[0] == f"roar: {path} {reason}, and is not overwritten."
            assert said[1].startswith(f"  try: roar {verb[0]} ")
            assert said[1].endswith("NEW_FILE")
        assert (filled.root / name).read_bytes() == before
    (filled.root / name).unlink()
    filled.roar(*verb, name)
    for _ in range(2):
        filled.roar(*verb, "answer")
    filled.write("answer", "of no concern")
    filled.roar(*verb, "answer")
    assert "concern" not in (filled.root / "answer").read_text()
    filled.roar(*verb, "/dev/null")


def test_a_package_replaces_no_data(filled):
    filled.roar("run", sys.executable, "-c", "open('data.zip', 'w').write('zip')")
    for place in ("data.zip", "made"):
        said = filled.roar("export", "--format", "ro-crate", "--files", "--output", place, status=1).stderr
        assert said.startswith(f"roar: {place} was read or written by a recorded job, and is not overwritten.\n")
    assert (filled.root / "data.zip").read_text() == "zip"


BASH = """source <(roar completion bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _roar; printf '%s\\n' "${COMPREPLY[@]}" """
ZSH = """compdef() { :; }; source <(roar completion zsh); compadd() { print -rl -- ${(P)@[-1]}; }
compset() { print compset "$@"; }; _default() { print default; }; words=("$@"); CURRENT=$#; _roar"""
FISH = "roar completion fish | source; complete -C (string join ' ' -- $argv)"
VALUES = {
    ("log", "--status", ""): "ok failed done interrupted running",
    ("log", "--status", "in"): "interrupted",
    ("log", "--tracker", "wa"): "wandb",
    ("lineage", "--direction", ""): "up down both",
    ("export", "--format", "pro"): "prov",
    ("trackers", "re"): "refresh",
    ("trackers", "--js"): "--json",
    ("completion", "z"): "zsh",
}


def _offered(desk, shell, typed, given="", end=""):
    code = given + {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell] + end
    words = [shell, "--no-config", "-c", code] if shell == "fish" else [shell, "-c", code, shell]
    done = subprocess.run([*words, "roar", *typed], capture_output=True, text=True, check=True, cwd=desk.root,
                          env=desk.env)
    return done.stdout.split()


@pytest.mark.parametrize("typed", VALUES, ids=" ".join)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_values_of_options(desk, shell, typed):
    if not _has(shell):
        pytest.skip(f"{shell} is not installed")
    desk.write("progress.txt", "")
    assert sorted(_offered(desk, shell, typed)) == sorted(VALUES[typed].split())


@pytest.mark.parametrize(("shell", "typed"), [
    ("bash", ["log", "--status", "=", "in"]), ("zsh", ["log", "--status=in"]), ("fish", ["log", "--status=in"])])
def test_completion_knows_the_values_of_options_behind_an_equals_sign(desk, shell, typed):
    if not _has(shell):
        pytest.skip(f"{shell} is not installed")
    assert _offered(desk, shell, typed) == ["interrupted" if shell == "bash" else "--status=interrupted"]
    assert shell != "bash" or "failed" in _offered(desk, shell, ["log", "--status", "="])


@pytest.mark.skipif(not _has("zsh"), reason="zsh is not installed")
def test_completion_in_zsh_offers_files_behind_an_equals_sign(desk):
    assert _offered(desk, "zsh", ["log", "--path=mo"]) == ["compset", "-P", "1", "*=", "default"]
    assert _offered(desk, "zsh", ["log", "--path", "mo=d"]) == ["default"]


def _as_bash_has_it(word):
    """An equals sign is a word of its own."""
    return [part for part in re.split("(=)", word) if part]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_a_name_is_neither_a_command_nor_a_file(desk, shell):
    if not _has(shell):
        pytest.skip(f"{shell} is not installed")
    desk.write("git.txt", "")
    given = {"bash": "compgen() { echo command; }\ncompopt() { [[ $1 != +o ]] || echo none; }\n", "fish": "",
             "zsh": "_normal() { echo command; }\n"}[shell]
    end = "|| true" if shell == "zsh" else ""
    said = ["none"] if shell == "bash" else []
    for words in (["--name", "gi"], ["-q", "--label", "gi"], ["--label", "k=v", "--name", ""]):
        typed = [part for word in words for part in (_as_bash_has_it(word) or [""] if shell == "bash" else [word])]
        assert _offered(desk, shell, ["run", *typed], given, end) == said
    for typed in (["--name", "=", "gi"], ["--name", "="], ["--label", "k", "="], ["--label", "k", "=", "gi"]):
        if shell == "bash":
            assert _offered(desk, shell, ["run", *typed], given) == said
    assert _offered(desk, shell, ["--"]) == ["--help", "--version"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("options", [
    [], ["--quiet"], ["--name", "n"], ["-q", "--label", "k=v", "--name=n"], ["--name", "-n", "--"],
    ["--label=k=v", "--label", "k=", "--quiet"]])
def test_completion_of_the_command_that_is_recorded(desk, shell, options):
    """The shell's own: a program first, and then what completes that program's arguments."""
    if not _has(shell):
        pytest.skip(f"{shell} is not installed")
    given = {"bash": "_command_offset() { COMPREPLY=(from $1); }\n", "fish": "complete -c git -f -a from\n",
             "zsh": '_normal() { print -l from $CURRENT "$words[@]"; }\n'}[shell]
    options = [part for word in options for part in (_as_bash_has_it(word) if shell == "bash" else [word])]
    first = _offered(desk, shell, ["run", *options, "gi"], given)
    if shell == "zsh":
        assert first == ["from", "1", "gi"]
    else:
        assert "git" in first
    if shell == "bash":  # neither what is of the shell alone is a program, nor what was defined in it
        assert not {"!", "[[", "if", "_roar", "_command_offset", "cd"} & set(
            _offered(desk, shell, ["run", *options, ""], given))
    place = str(len(options) + 2)
    then = {"bash": ["from", place], "zsh": ["from", "2", "git", "fr"], "fish": ["from"]}[shell]
    assert _offered(desk, shell, ["run", *options, "git", "fr"], given) == then


def test_completion_in_fish_knows_every_option_with_a_path_or_few_values():
    script = completion._FISH
    for verb in (verb for group in VERBS.values() for verb in group if verb != "run"):
        for action in import_module(f"roar.commands.{verb}").parser()._actions:
            if action.option_strings and (action.choices or action.metavar in {"FILE", "FOLDER", "PATH"}):
                assert f" {action.option_strings[-1]}" in script, (verb, action.option_strings)


@pytest.mark.skipif(not _has("fish"), reason="fish is not installed")
def test_completion_in_fish_offers_files_where_they_may_stand(desk):
    desk.write("model.txt", "")
    for typed in ("show", "lineage", "inputs", "reproduce", "export", "register", "label", "diff", "put", "log --path",
                  "run python3", "run python3 --format", "dag --svg", "reproduce --into", "export --output"):
        assert _offered(desk, "fish", (*typed.split(), "mo")) == ["model.txt"], typed
    assert _offered(desk, "fish", ("dag", "--svg=mo")) == ["--svg=model.txt"]
    for typed in ("dag", "status", "whoami", "export --format"):
        assert _offered(desk, "fish", (*typed.split(), "mo")) == [], typed


def test_odd_names_cannot_act_on_the_terminal(desk):
    desk.init()
    name = b"odd\xff\x1b[31m\nname"
    code = "import os; open(b'odd\\xff\\x1b[31m\\nname', 'w').write('x')"
    desk.roar("run", sys.executable, "-c", code)
    assert os.path.exists(os.path.join(os.fsencode(desk.root), name))
    for verb in (["show"], ["status"], ["dag"], ["lineage", "@1"], ["log"]):
        text = desk.roar(*verb).stdout
        assert "\x1b" not in text
        if verb == ["show"]:
            assert "odd\\xff\\x1b[31m\\nname" in text
    assert desk.job()["outputs"][0]["path"] == "odd\\xff\x1b[31m\nname"
    ref = os.fsdecode(name)
    assert desk.json("lineage", ref)["jobs"][0]["step"] == 1


def test_colours_only_where_they_are_wanted(desk):
    desk.roar("run", "true")
    assert "\x1b[" not in desk.roar("log").stdout
    assert "\x1b[32m" in desk.roar("log", env={"NO_COLOR": "", "FORCE_COLOR": "1"}).stdout
    assert "\x1b[" not in desk.roar("log", env={"NO_COLOR": "1", "FORCE_COLOR": "1"}).stdout


@pytest.fixture
def flat(desk):
    """A workspace with 150 pictures directly in it; one job made a thumbnail of each, another put these together."""
    desk.init()
    for number in range(150):
        desk.write(f"{number}.png", f"picture {number}")
    desk.python("for n in range(150): open(f't{n}.jpg', 'w').write(open(f'{n}.png').read()[-8:])")
    desk.python("open('sheet', 'w').write(str([open(f't{n}.jpg').read() for n in range(150)]))")
    return desk


def test_many_files_directly_in_the_workspace_are_one_dataset(flat, tmp_path):
    first, last = flat.json("show", "@1"), flat.json("show", "@2")
    assert [(use["path"], use["files"]) for use in (*first["inputs"], *first["outputs"], *last["inputs"])] == [
        ("*", 150)] * 3
    assert [(use["path"], use["kind"]) for use in last["outputs"]] == [("sheet", "file")]
    assert [job["step"] for job in flat.json("lineage", "sheet")["jobs"]] == [2, 1]
    assert "made by @1" in flat.roar("lineage", "t7.jpg").stdout
    assert [use["step"] for use in flat.json("show", "7.png")["used_by"]] == [1]
    for path in ("7.png", "t7.jpg"):
        assert flat.json("log", "--path", path)["jobs"]
    assert [root["path"] for root in flat.json("inputs", "sheet")["inputs"]] == ["*"]
    assert "2 outputs up to date" in flat.roar("status").stdout
    done = flat.roar("reproduce", "sheet", "--run", "--into", str(tmp_path / "again"))
    assert "2 of 2 outputs came out the same" in done.stdout


def test_what_becomes_of_files_directly_in_the_workspace_is_seen(flat):
    flat.write("7.png", "another picture")
    assert "its input * has changed since" in flat.roar("status").stdout
    flat.write("7.png", "picture 7")
    (flat.root / "t7.jpg").unlink()
    assert "no longer what @1 wrote: t7.jpg is gone" in flat.roar("status").stdout
    flat.python("for n in range(150): open(f'z{n}', 'w').write('z')")
    flat.write("z150", "mine")
    flat.roar("pop", "--delete-outputs")
    assert sorted(path.name for path in flat.root.glob("z*")) == ["z150"]
    assert (flat.root / "t8.jpg").exists()


def test_jobs_are_found_by_a_folder_in_a_dataset_and_by_a_shard(desk):
    desk.init()
    desk.python("import os\nfor n in range(150):\n    os.makedirs(f'd/{n % 9}', exist_ok=True)\n"
                "    open(f'd/{n % 9}/{n}', 'w').write(str(n))")
    desk.python("for n in '123': open(f'm-0000{n}-of-00003.bin', 'w').write(n)")
    for path, step in (("d/3", 1), ("d/3/", 1), ("d/3/12", 1), ("m-00002-of-00003.bin", 2), ("d/*/12", 1),
                       ("*/14?", 1), ("m-*2-of-*", 2), ("[m]-00003*", 2)):
        assert [job["step"] for job in desk.json("log", "--path", path)["jobs"]] == [step], path
    for path in ("d/33", "d/*/999", "*-00004-of-*"):
        assert desk.json("log", "--path", path)["jobs"] == []


def test_what_was_put_into_a_dataset_by_hand_has_no_maker(desk):
    desk.init()
    desk.python("import os\nos.mkdir('raw')\nfor n in range(150): open(f'raw/{n}', 'w').write(str(n))")
    desk.write("raw/5", "by hand")
    desk.roar("run", "sh", "-c", "cat raw/* > all")
    assert "← @1 " in desk.roar("lineage", "all").stdout
    assert ", but nothing recorded made raw/5\n" in desk.roar("lineage", "all").stdout
    for number in range(30):
        desk.write(f"raw/{number}", f"{number} by hand")
    desk.roar("run", "sh", "-c", "cat raw/* > all2")
    reader = desk.job()["uid"][:8]
    assert (f", but nothing recorded made 30 of its files, as raw/0: roar inputs {reader}\n"
            in desk.roar("lineage", "all2").stdout)
    assert desk.roar("inputs", reader).stdout.splitlines()[-1] == (
        f"Files of a dataset that are some of it are only counted; each: roar inputs {reader} --json")
    assert len(desk.json("inputs", reader)["inputs"][0]["members"]) == 30


def test_equal_inputs_of_one_job_have_each_its_own_maker(desk):
    desk.init()
    desk.write("raw", "x")
    desk.roar("run", "cp", "raw", "work")
    desk.roar("run", "sh", "-c", "cat raw work > both")
    told = [line.split() for line in desk.roar("lineage", "both").stdout.splitlines() if " from " in line]
    assert [(line[1], line[5:7]) for line in told[:2]] == [("work", ["←", "@1"]), ("raw", ["nothing", "recorded"])]


def test_the_command_that_shows_all_of_a_lineage_can_be_run(desk):
    desk.init()
    for number in range(20):
        desk.write(f"i{number}", str(number))
    desk.roar("run", "sh", "-c", "cat i* > 'an o'")
    hint = desk.roar("lineage", "an o").stdout.rpartition("more: ")[2]
    assert hint == "roar lineage 'an o' --all\n"
    assert desk.roar(*shlex.split(hint)[1:]).stdout.count("from") == 20


def test_the_command_that_cuts_no_list_can_be_pasted(desk):
    """Each names what was asked about, quoted."""
    desk.init()
    for number in range(30):
        desk.write(f"d/{number}", str(number))
    desk.roar("run", "sh", "-c", "cat d/* > 'an o'; for n in $(seq 30); do mkdir -p x; cp d/1 x/$n; done")
    desk.roar("run", "sh", "-c", "cat x/* > p")
    desk.roar("run", "sh", "-c", "cat d/2* > -p")
    for number in range(30):
        desk.write(f"d/{number}", f"new {number}")
    desk.roar("run", "sh", "-c", "cat d/* > 'an o'")
    asked = (["reproduce", "an o"], ["show", "x"], ["show", desk.job("@1")["outputs"][3]["digest"]], ["status"],
             ["diff", "@1", "an o"], ["lineage", "an o"], ["lineage", "--both", "./-p"])
    for words in asked:
        said = desk.roar(*words, status=None).stdout
        hints = set(re.findall(r"… and \d+ more: roar (.*)$", said, re.MULTILINE))
        assert len(hints) == (words != ["lineage", "--both", "./-p"]), said
        for hint in hints:
            whole = desk.roar(*shlex.split(hint), status=None).stdout
            assert " more" not in whole
            assert len(whole) > len(said)
    assert [root["path"] for root in json.loads(desk.roar("reproduce", "an o", "--json").stdout)["roots"]][:2] == [
        "d/0", "d/1"]


def test_what_a_graph_hides_is_that_of_its_session(desk):
    desk.init()
    desk.write("raw", "1")
    for number in range(22):
        desk.roar("run", "cp", "raw", f"o{number}")
    said = desk.roar("register", "--dry-run").stdout
    assert said.startswith("… and 2 earlier jobs: roar register --dry-run --json\n@3 ")
    first = desk.json("show", "@")["uid"][:8]
    desk.roar("reset")
    assert desk.roar("dag", first).stdout.endswith(f"each by itself: roar dag {first} --all\n")


def test_where_nothing_is_overwritten_the_same_is_asked_again(desk):
    desk.init()
    desk.write("a.py", "print(1)\n")
    desk.git("add", "a.py")
    desk.roar("run", "sh", "-c", "echo > 'an o'")
    said = desk.roar("export", "an o", "--format", "prov", "--members", "--output", "a.py", status=1).stderr
    assert "roar export 'an o' --format prov --members --output NEW_FILE" in said
    session = desk.json("show", "@")["uid"][:8]
    said = desk.roar("dag", session, "--all", "--svg", "a.py", status=1).stderr
    assert f"roar dag {session} --all --svg NEW_FILE" in said


def test_the_steps_that_may_be_meant_can_be_pasted(desk):
    desk.init()
    desk.roar("run", "sh", "-c", "echo hi > m5; echo $0 $1", "x y")
    desk.roar("run", "sh", "-c", "true # " + "long " * 40)
    said = desk.roar("run", "@99", status=1).stderr
    assert "@1  sh -c 'echo hi > m5; echo $0 $1' 'x y'\n" in said
    assert re.search(r"@2  sh -c 'true # (long )+.*…\n", said)


def test_pop_counts_what_it_leaves_in_place(desk):
    desk.init()
    desk.python("import os\nos.mkdir('d')\nfor n in range(120): open(f'd/{n}', 'w').write(str(n))")
    (desk.root / "d/3").unlink()
    desk.write("d/4", "changed")
    assert "1 output left in place" in desk.roar("pop", "--delete-outputs").stdout


def test_diff_names_the_files_of_a_dataset_that_differ(desk):
    desk.init()
    for number in range(150):
        desk.write(f"d/{number}", str(number))
    desk.roar("run", "sh", "-c", "cat d/* > o")
    desk.write("d/7", "seven")
    desk.write("d/new", "new")
    (desk.root / "d/8").unlink()
    desk.roar("run", "sh", "-c", "cat d/* > o")
    first, second = (job["uid"] for job in desk.json("log")["jobs"][::-1])
    (change,) = desk.json("diff", first, second)["inputs"]
    assert {(one["name"], one["before"] is None, one["after"] is None) for one in change["members"]} == {
        ("7", False, False), ("8", False, True), ("new", True, False)}
    said = desk.roar("diff", first, second).stdout
    for line in (r"    7 +[0-9a-f]{12}  →  [0-9a-f]{12}", r"    8 +[0-9a-f]{12}  →  \(none\)",
                 r"    new +\(none\) +→  [0-9a-f]{12}"):
        assert re.search(f"^{line}$", said, re.MULTILINE), said
    for number in range(100, 130):
        desk.write(f"d/{number}", "changed")
    desk.roar("run", "sh", "-c", "cat d/* > o")
    assert f"    … and 10 more files: roar diff {second} @1 --all\n" in desk.roar("diff", second, "@1").stdout
    assert desk.roar("diff", second, "@1", "--all").stdout.count("    1") == 30


def test_a_copied_folder_of_several_datasets_names_what_is_known_in_it(desk):
    desk.init()
    code = "import os; os.makedirs('d/{0}'); [open(f'd/{0}/{{n}}', 'w').write(f'{0}{{n}}') for n in range(100)]"
    for name in ("train", "val"):
        desk.roar("run", sys.executable, "-c", code.format(name).replace("makedirs(", "makedirs(exist_ok=True, name="))
    os.rename(desk.root / "d", desk.root / "moved")
    said = desk.roar("lineage", "moved", status=1).stderr
    assert "'moved' as a whole, but it holds copies of recorded data" in said
    assert "moved/val" in said
    assert said.endswith("try: roar lineage moved/train\n")
    assert desk.roar("lineage", "moved/train").returncode == 0


@pytest.mark.parametrize("removed", [["d/cat/7"], ["d/cat/7", *(f"d/dog/{n}" for n in range(100))]])
def test_diff_names_the_files_of_a_folder_that_is_another_number_of_datasets(desk, removed):
    """Two classes are a dataset each; with one file less they are one together, and one class alone is none."""
    desk.init()
    for number in range(100):
        desk.write(f"d/cat/{number}", f"cat {number}")
        desk.write(f"d/dog/{number}", f"dog {number}")
    desk.roar("run", "sh", "-c", "cat d/*/* > o")
    for name in removed:
        (desk.root / name).unlink()
    desk.roar("run", "sh", "-c", "cat d/*/* > o")
    first, second = (job["uid"] for job in desk.json("log")["jobs"][::-1])
    changes = desk.json("diff", first, second)["inputs"]
    gone = {change["name"] + one["name"] for change in changes for one in change["members"] if one["after"] is None}
    gone |= {change["name"] for change in changes if not change["members"]}
    assert gone == ({"d/cat/7"} if len(removed) == 1 else {"d/cat/7", "d/dog/"})
    added = desk.json("diff", second, first)["inputs"]
    assert [one["name"] for change in added for one in change["members"]] == (
        ["cat/7"] if len(removed) == 1 else ["7"])


def test_diff_names_no_digest_of_a_folder_that_is_in_no_record(desk):
    desk.init()
    for number in range(100):
        desk.write(f"d/{number}", f"number {number}")
    desk.roar("run", "sh", "-c", "cat d/* > o")
    desk.roar("run", "sh", "-c", "cat d/1 d/2 > o")
    (change,) = desk.json("diff", "@1", "@2")["inputs"]
    assert (change["name"], change["after"], len(change["members"])) == ("d/", "in parts", 98)
    assert desk.json("show", change["before"])["members"]
    assert "in parts" in desk.roar("diff", "@1", "@2").stdout


def test_diff_where_the_content_of_an_input_is_known_on_one_side_only(desk):
    desk.init()
    for text in ("first", "second"):
        desk.write("data", text)
        desk.roar("run", "sh", "-c", "cat data > o; [ $(cat data) = first ] || echo more >> data")
    first, second = (job["uid"] for job in desk.json("log")["jobs"][::-1])
    assert [change["after"] for change in desk.json("diff", first, second)["inputs"]] == ["no digest"]


@pytest.fixture
def inner(desk, tmp_path):
    """Another repository, which git may fetch from."""
    folder = tmp_path / "inner"
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    desk.env["GIT_CONFIG_GLOBAL"] = str(tmp_path / "gitconfig")
    for name, value in (("user.name", "a"), ("user.email", "a@b"), ("protocol.file.allow", "always")):
        subprocess.run(["git", "config", "--global", name, value], env=desk.env, check=True)
    (folder / "s.py").write_text("S = 1\n")
    subprocess.run(["git", "add", "."], cwd=folder, check=True)
    subprocess.run(["git", "commit", "-qm", "1"], cwd=folder, env=desk.env, check=True)
    return folder


@pytest.mark.parametrize("added", [False, True])
def test_the_hint_makes_a_submodule_of_a_repository_within(desk, inner, added):
    """git adds of such a one nothing but its commit, with no word of where it can be had."""
    desk.write("t.py", "import sys\nsys.path[:0] = ['vendor/lib']\nimport s\nopen('o', 'w').write('x')\n")
    desk.write(".gitignore", ".roar/\no\n__pycache__\n")
    desk.init()
    desk.git("clone", "-q", str(inner), "vendor/lib")
    if added:
        desk.git("add", "vendor/lib")
        desk.git("commit", "-qm", "embedded")
    desk.write("vendor/lib/s.py", "S = 2\n")
    desk.roar("run", "python", "t.py")
    item = checklist(desk)["the code is in a commit"]
    assert item["hint"] == (f"git -C vendor/lib commit -a && git submodule add --force {inner} vendor/lib"
                            " && git commit -a && roar run @1")
    follow(desk, item["hint"])
    assert checklist(desk)["the code is in a commit"]["passed"]


def test_each_says_what_it_is(desk, inner):
    """A nested repository, a submodule and a linked work tree, each with its commit as when the command started."""
    desk.write("t.py", "import sys, subprocess, time\nsys.path[:0] = ['sub', 'nested']\nimport s, n\n"
               "time.sleep(1.1)\nsubprocess.run('git commit -q --allow-empty -m 3', shell=True, cwd='nested')\n")
    desk.write(".gitignore", ".roar/\n__pycache__\n")
    desk.init()
    desk.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    desk.git("commit", "-qam", "with a submodule")
    desk.write("nested/n.py", "N = 1\n")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "2")):
        desk.git("-C", "nested", *words)
    commits = [desk.git("-C", name, "rev-parse", "HEAD") for name in ("nested", "sub")]
    time.sleep(1.1)  # git's log of how HEAD moved counts in seconds
    desk.roar("run", "python", "t.py")
    code = desk.json("show", "@1")["git"]
    assert code["repositories"] == [
        {"path": "nested", "kind": "nested", "commit": commits[0], "remote": None, "dirty": False},
        {"path": "sub", "kind": "submodule", "commit": commits[1], "remote": str(inner), "dirty": False}]
    assert "worktree" not in code
    assert (f"           nested repository nested at {commits[0][:12]}, clean\n"
            f"           submodule sub at {commits[1][:12]}, clean\n") in desk.roar("show", "@1").stdout
    desk.git("worktree", "add", "-q", "../elsewhere", "-b", "other")
    elsewhere = desk.root.parent / "elsewhere"
    desk.roar("run", "python", "-c", "import json", cwd=elsewhere)
    assert " on other in the linked work tree elsewhere, clean\n" in desk.roar("show", "@1", cwd=elsewhere).stdout
    done = desk.roar("show", "@1", "--json", cwd=elsewhere)
    assert json.loads(done.stdout)["git"]["worktree"] == "elsewhere"


def test_a_nested_repository_whose_name_is_not_utf_8_is_shown_as_other_paths_are(desk):
    name = os.fsdecode(b"l\xffb")
    desk.write("t.py", "open('out', 'w').write('1')\n")
    desk.init()
    desk.write(f"{name}/n.py", "open('l\\udcffb/out', 'w').write('2')\n")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "1")):
        desk.git("-C", name, *words)
    desk.roar("run", "python", f"{name}/n.py")
    shown = desk.roar("show", "@1").stdout
    assert "nested repository l\\xffb at " in shown
    assert "  l\\xffb/out\n" in shown
    assert [one["path"] for one in desk.json("show", "@1")["git"]["repositories"]] == ["l\\xffb"]


def test_the_hint_commits_what_lies_in_a_submodule(desk, inner):
    desk.write("t.py", "import sys\nsys.path[:0] = ['sub']\nimport s, new\nopen('o', 'w').write('x')\n")
    desk.write(".gitignore", ".roar/\no\n__pycache__\n")
    desk.init()
    desk.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    desk.git("commit", "-qam", "with a submodule")
    desk.write("new.py", "X = 1\n")
    desk.write("sub/s.py", "S = 2\n")
    desk.roar("run", "python", "t.py")
    item = checklist(desk)["the code is in a commit"]
    assert item["hint"] == ("git -C sub commit -a && git add new.py && git commit -a && roar run @1")
    follow(desk, item["hint"])
    assert checklist(desk)["the code is in a commit"]["passed"]
    item = checklist(desk)["the commits are on a remote"]
    assert any(" of submodule sub of @1 is in no branch of a remote" in problem for problem in item["problems"])
    assert item["hint"].startswith("git -C sub push")


def test_each_version_of_a_root_input_gets_its_source_by_the_hint(desk):
    desk.init()
    for text in ("one", "two", "three"):
        desk.write("raw", text)
        desk.roar("run", "cp", "raw", f"{text}.out")
    for left in (3, 2, 1, 0):
        items = json.loads(desk.roar("status", "--checklist", "--json", status=None).stdout)["checklist"]
        item = next(item for item in items if item["title"] == "every root input has a source")
        assert len(set(item["problems"])) == left
        assert item["passed"] == (left == 0)
        if left:
            desk.roar(*shlex.split(item["hint"].replace("URL", "https://example.org/raw"))[1:])


def test_content_that_is_not_known_is_not_to_be_labelled(desk):
    desk.init()
    desk.write("log.txt", "before")
    desk.roar("run", "sh", "-c", "echo more >> log.txt")
    items = json.loads(desk.roar("status", "--checklist", "--json", status=None).stdout)["checklist"]
    item = next(item for item in items if item["title"] == "every root input has a source")
    assert item["problems"] == ["log.txt is not known with the content that was read",
                                "no command mends it: log.txt is edited in place, and no step has made it"]
    assert item["hint"] is None  # it would append to what it has appended


def scripts(desk, *texts):
    """A commit, where nothing says otherwise without what lies there, and a step of each of these lines of shell."""
    if not (desk.root / ".gitignore").exists():
        desk.write(".gitignore", "*\n!.gitignore\n")
    desk.init()
    for text in texts:
        desk.roar("run", "sh", "-c", text)


def anew(commands):
    return f"mv data .roar/data.old && {commands} && rm .roar/data.old"


def mend(desk, times):
    """Follow the hint about the outputs so many times; the commands that it gave."""
    given = []
    for _ in range(times):
        hint = checklist(desk)["the outputs are up to date"]["hint"]
        given.append(hint)
        if hint is not None:
            follow(desk, hint)
    return given


def test_the_hint_begins_where_the_chain_does(desk):
    """Also where the steps were first run in another order."""
    for name, text in {"data": "1", "model": "0", "metrics": "0"}.items():
        desk.write(name, text)
    scripts(desk, "cat metrics > report", "cat model > metrics", "cat data > model")
    desk.roar("run", "@2")
    desk.roar("run", "@1")
    desk.write("data", "2")
    assert mend(desk, 4) == ["roar run @3", "roar run @2", "roar run @1", None]
    assert (desk.root / "report").read_text() == "2"


def test_the_hint_edits_before_it_reads(desk):
    desk.write("in", "1\n")
    scripts(desk, "cat in > d", "cat d > m", "echo 2 >> d")
    desk.roar("run", "@2")
    desk.write("in", "0\n")
    desk.roar("run", "@1")
    assert mend(desk, 3) == ["roar run @3", "roar run @2", None]
    assert (desk.root / "m").read_text() == "0\n2\n"


def test_a_file_that_is_changed_by_what_was_computed_from_it(desk):
    """As data that are normalised in place by their own mean."""
    desk.write("raw", "1\n")
    scripts(desk, "cat raw > data", "cat data > mean", "cat mean >> data")
    assert checklist(desk)["the outputs are up to date"]["passed"]
    desk.write("raw", "2\n")
    assert mend(desk, 2) == [anew("roar run @1 && roar run @2 && roar run @3"), None]
    assert (desk.root / "data").read_text() == "2\n2\n"
    desk.roar("run", "@1")
    assert mend(desk, 2) == ["roar run @3", None]  # the mean is of the same data


@pytest.mark.parametrize("times", [1, 2])
def test_the_hint_makes_again_what_a_step_has_edited_before_that_edits_it_again(desk, times):
    """Data that are normalised in place would be so twice."""
    for name in ("raw", "config"):
        desk.write(name, "1\n")
    scripts(desk, "cat raw > data", "cat config >> data", "cat data > model")
    for step in ("@2", "@3") * (times - 1):
        desk.roar("run", step)
    desk.write("config", "2\n")
    edits = " && ".join(["roar run @2"] * times)
    assert mend(desk, 3) == [anew(f"roar run @1 && {edits}"), "roar run @3", None]
    assert (desk.root / "model").read_text() == "1\n" + "2\n" * times


def states(desk):
    return {output["path"]: output["state"] for output in desk.json("status")["outputs"]}


def test_what_was_made_from_an_earlier_run_of_a_step_is_not_up_to_date(desk):
    """Where each run has a folder of its own, and where the result was moved by hand."""
    desk.write("raw", "1\n")
    scripts(desk, "mkdir -p runs/$(cat raw) && cp raw runs/$(cat raw)/m", "cat runs/1/m > o", "cp raw d")
    (desk.root / "d").rename(desk.root / "best")
    desk.roar("run", "cp", "best", "e")
    assert set(states(desk).values()) == {"fresh", "gone"}
    desk.write("raw", "2\n")
    for step in ("@1", "@3"):
        desk.roar("run", step)
    assert states(desk) == {"runs/1/m": "stale", "o": "stale", "runs/2/m": "fresh", "d": "fresh", "e": "stale"}
    item = checklist(desk)["the outputs are up to date"]
    assert (item["passed"], item["hint"]) == (False, None)
    reason = "what it took from @1 is of an earlier run of it, from inputs that have changed since"
    assert f"o: {reason}" in item["problems"]
    desk.write("raw", "1\n")
    assert states(desk)["e"] == "fresh"


def test_a_step_that_works_in_place_and_ran_twice_hides_no_change_before_it(desk):
    desk.write("raw", "1\n")
    scripts(desk, "cat raw > data", "echo more >> data")
    desk.roar("run", "@2")
    assert states(desk) == {"data": "fresh"}
    desk.write("raw", "2\n")
    assert states(desk) == {"data": "stale"}
    assert mend(desk, 2) == [anew("roar run @1 && roar run @2 && roar run @2"), None]


def test_a_try_that_failed_and_left_nothing_keeps_no_line_open(desk):
    desk.write(".gitignore", ".roar\no\n")
    scripts(desk, "echo 1 > o")
    desk.write("typo.py", "x\n")
    desk.roar("run", "python", "typo.py", status=1)
    items = checklist(desk)
    assert items["every step ended well, but for tries that left nothing: @2"]["passed"]
    assert items["the code is in a commit"]["passed"]
    desk.roar("run", "sh", "-c", "echo 1 > o2; exit 1", status=1)
    item = checklist(desk)["every step ended well, but for tries that left nothing: @2"]
    assert (item["passed"], item["hint"]) == (False, "roar show @3")


def test_the_checklist_where_there_is_nothing_but_a_try(desk):
    scripts(desk)
    desk.roar("run", "false", status=1)
    assert checklist(desk)["every step ended well"]["hint"] == "roar show @1"


def test_outputs_that_are_all_gone_are_not_said_to_be_up_to_date(desk):
    desk.write("raw", "1\n")
    scripts(desk, "cat raw > o")
    (desk.root / "o").unlink()
    item = checklist(desk)["the outputs are up to date"]
    assert (item["passed"], item["problems"]) == (None, ["none of them is there"])


def test_the_hint_makes_an_input_that_is_gone_before_it_is_read(desk):
    desk.write("raw", "1\n")
    desk.write("more", "1\n")
    scripts(desk, "cat raw > a", "cat a > b", "cat b more > c")
    (desk.root / "a").unlink()
    (desk.root / "b").unlink()
    desk.write("more", "2\n")
    assert mend(desk, 4) == ["roar run @1", "roar run @2", "roar run @3", None]
    assert (desk.root / "c").read_text() == "1\n2\n"


def test_no_hint_runs_a_step_without_a_root_input_that_is_gone(desk):
    desk.write("raw", "1\n")
    scripts(desk, "cat raw > a")
    (desk.root / "raw").unlink()
    item = checklist(desk)["the outputs are up to date"]
    assert (item["passed"], item["problems"], item["hint"]) == (
        False, ["a: its input raw is gone", "no command mends it: raw is gone, which @1 needs"], None)
    assert "its input raw is gone" in desk.roar("status", "--checklist", status=1).stdout


def test_the_hint_commits_once_for_all_jobs_that_ran_before(desk):
    desk.write("t.sh", "cat raw > $1\n")
    desk.write("raw", "1\n")
    desk.write(".gitignore", ".roar/\no*\n")
    desk.init()
    desk.write("t.sh", "cat raw > $1 # changed\n")
    for name in ("o1", "o2"):
        desk.roar("run", "sh", "t.sh", name)
    assert checklist(desk)["the code is in a commit"]["hint"] == "git commit -a && roar run @1"
    desk.git("add", "-A")
    desk.git("commit", "-qm", "changed")
    desk.roar("run", "@1")
    assert checklist(desk)["the code is in a commit"]["hint"] == "roar run @2"
    desk.roar("run", "@2")
    assert checklist(desk)["the code is in a commit"]["passed"]


def test_what_a_failed_job_left_is_not_up_to_date(desk):
    desk.write("in", "good\n")
    scripts(desk, "cat in > o", "cat o > p")
    desk.roar("run", "sh", "-c", "echo part > o; exit 3", status=3)
    item = checklist(desk)["the outputs are up to date"]
    assert item["problems"] == ["o: @3, which wrote it, ended with exit status 3",
                                "p: its input o was written again by @3"]
    assert item["hint"] == "roar show @3"
    desk.roar("run", "@1")
    assert checklist(desk)["the outputs are up to date"]["passed"]


@pytest.mark.parametrize("signal", ["KILL", "TERM", "INT"])
def test_what_an_interrupted_job_left_is_not_up_to_date(desk, signal):
    desk.write("on", "")
    scripts(desk, "echo good > o", f"echo part > o; test -e on || kill -{signal} $$", "cat o > p")
    (desk.root / "on").unlink()
    desk.roar("run", "@2", status=None)
    assert "o: @2, which wrote it, was interrupted" in checklist(desk)["the outputs are up to date"]["problems"]
    assert checklist(desk)["the outputs are up to date"]["hint"] == "roar run @2"
    desk.write("on", "")
    for step in ("@2", "@3"):
        desk.roar("run", step)
    assert checklist(desk)["the outputs are up to date"]["passed"]


def test_all_of_the_checklist(desk):
    desk.init()
    for number in range(7):
        desk.roar("run", "sh", "-c", f"echo > o{number}; exit 1", status=1)
    assert "… and 2 more: roar status --checklist --all\n" in desk.roar("status", "--checklist", status=1).stdout
    said = desk.roar("status", "--checklist", "--all", status=1).stdout
    assert (said.count("which wrote it"), said.count("more:")) == (7, 0)


def test_code_that_is_the_same_in_another_commit_is_no_cause(desk):
    desk.write("t.py", "import os\nopen('o', 'w').write(os.urandom(4).hex())\n")
    desk.write("README.md", "1")
    desk.init()
    changes = (lambda: None, lambda: desk.write("README.md", "2"), lambda: desk.git("commit", "-qam", "words"),
               lambda: desk.git("commit", "-q", "--allow-empty", "-m", "nothing"),
               lambda: desk.write("u.py", "U = 1\n"), lambda: desk.git("add", "u.py"),
               lambda: desk.git("commit", "-qam", "a source"))
    uids = []
    for change in changes:
        change()
        desk.roar("run", "python", "t.py")
        uids.append(desk.job()["uid"])
    causes = [desk.json("diff", *pair)["likely_causes"] for pair in pairwise(uids)]
    assert causes == [[], [], [], [], ["code"], []]
    said = desk.roar("diff", uids[2], uids[3]).stdout
    assert "nothing recorded explains it" in said
    assert "  no source file differs\n" in said


def test_code_before_the_first_commit_is_the_same_in_it(desk):
    desk.git("init", "-q")
    desk.write(".gitignore", ".roar\no\n")
    desk.write("t.py", "import os\nopen('o', 'w').write(os.urandom(4).hex())\n")
    for _ in range(2):
        desk.roar("run", "python", "t.py")
        desk.git("add", "-A")
        desk.git("commit", "-q", "--allow-empty", "-m", "first")
    uids = [job["uid"] for job in desk.json("log")["jobs"]]
    assert desk.json("diff", *uids)["likely_causes"] == []


SECRET = "import sys\nAPI_KEY = '{}'\nopen('o', 'w').write(API_KEY + sys.argv[-1])\n"


@pytest.mark.parametrize("committed", [True, False])
def test_a_secret_in_the_code_is_no_likely_cause(desk, committed):
    """The patch of a committed one does not apply where it was redacted."""
    if committed:
        desk.write("t.py", SECRET.format("hidden"))
    desk.init()
    for number, rate in enumerate(("0.1", "0.1", "0.2")):
        desk.write("t.py", SECRET.format(f"hidden{number}"))
        desk.roar("run", "python", "t.py", "--api-key", f"hidden{number}", "--lr", rate)
    last, other, first = (job["uid"] for job in desk.json("log")["jobs"])
    found = desk.json("diff", other, last)
    assert (found["likely_causes"], found["code_diff"]) == (["parameters"], "")
    said = desk.roar("diff", first, other).stdout
    assert "nothing recorded explains it but a secret in the code, which is not in the record\n" in said
    assert "  no source file differs, but for a secret that was redacted\n" in said


def test_what_differs_beside_a_secret_comes_first(desk):
    line = "python t.py --api-key {} --lr {}\n"
    desk.write("t.py", "import sys\nopen('o', 'w').write(sys.argv[-1])\n")
    desk.write("run.sh", line.format("hidden", "0"))
    desk.init()
    for number in "12":
        desk.write("run.sh", line.format(f"hidden{number}", f"0.{number}"))
        desk.roar("run", "sh", "run.sh")
    last, first = (job["uid"] for job in desk.json("log")["jobs"])
    found = desk.json("diff", first, last)
    assert found["likely_causes"] == ["code"]
    changed = [line for line in found["code_diff"].splitlines() if line.startswith(("+", "-"))][2:]
    assert changed == ["-+python t.py --api-key [redacted] --lr 0.1", "++python t.py --api-key [redacted] --lr 0.2"]


def test_uncommitted_code_is_the_same_once_it_is_committed(desk):
    desk.write("t.py", "import os\nopen('o', 'w').write(os.urandom(4).hex())\n")
    desk.init()
    uids = []
    for step in ("edited", "committed", "edited again"):
        if step == "committed":
            desk.git("add", "u.py", "t.py")
            desk.git("commit", "-qm", "tuned")
        else:
            desk.write("t.py", f"import os, u\nopen('o', 'w').write(os.urandom(4).hex())  # {step}\n")
            desk.write("u.py", "U = 1\n")
        desk.roar("run", "python", "-B", "t.py")
        uids.append(desk.job()["uid"])
    found = desk.json("diff", uids[0], uids[1])
    assert (found["likely_causes"], found["code_diff"]) == ([], "")
    said = desk.roar("diff", uids[0], uids[1]).stdout
    assert "nothing recorded explains it" in said
    assert "  no source file differs\n" in said
    assert "of difference" not in said
    found = desk.json("diff", uids[0], uids[2])
    assert found["likely_causes"] == ["code"]
    changed = [line for line in found["code_diff"].splitlines() if line.startswith(("+", "-"))]
    assert changed == ["--- a/t.py", "+++ b/t.py", "-open('o', 'w').write(os.urandom(4).hex())  # edited",
                       "+open('o', 'w').write(os.urandom(4).hex())  # edited again"]


def test_a_submodule_at_an_uncommitted_commit_is_a_change_of_code(desk):
    desk.write("../lib/u.py", "U = 1\n")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "one")):
        desk.git("-C", "../lib", *words)
    desk.write("t.py", "import os, sys; sys.path.append('lib'); import u; open('o', 'w').write(os.urandom(4).hex())")
    desk.init()
    desk.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", "../lib", "lib")
    desk.git("commit", "-qam", "with the submodule")
    desk.roar("run", "python", "-B", "t.py")
    desk.write("lib/u.py", "U = 2\n")
    desk.git("-C", "lib", "commit", "-qam", "two")
    desk.roar("run", "python", "-B", "t.py")
    one, two = (job["uid"] for job in desk.json("log")["jobs"][::-1])
    found = desk.json("diff", one, two)
    assert found["likely_causes"] == ["code"]
    assert "\n-U = 1\n+U = 2\n" in found["code_diff"]
    desk.git("commit", "-qam", "moved")
    desk.roar("run", "python", "-B", "t.py")
    assert desk.json("diff", two, "@-1")["likely_causes"] == []


def test_a_new_source_is_the_same_code_once_it_is_staged(desk):
    desk.write("t.py", "import os, u\nopen('o', 'w').write(os.urandom(4).hex())\n")
    desk.init()
    desk.write("u.py", "U = 1\n")
    desk.roar("run", "python", "-B", "t.py")
    first = desk.job()
    desk.git("add", "u.py")
    desk.roar("run", "python", "-B", "t.py")
    assert desk.json("diff", first["uid"], "@1")["code"] == []
    assert first["git"]["patch"] == desk.job()["git"]["patch"] is not None


def test_one_label_for_many(copy, desk):
    for name in "abc":
        desk.write(f"{name} 1", name)
    desk.roar("run", "sh", "-c", "cat ?' '1 > out")
    assert desk.roar("label", "a 1", "c 1", "source=s3://b/", "k=v").stdout == (
        "a 1: k=v\na 1: source=s3://b/\nc 1: k=v\nc 1: source=s3://b/\n")
    assert desk.roar("label", "a 1", "b 1", "--unset", "k", status=1).stderr.startswith("roar: b 1 has no label 'k'.")
    assert desk.json("label", "a 1", "b 1") == {"labels_of": {"a 1": {"k": "v", "source": "s3://b/"}, "b 1": {}}}
    desk.roar("label", "a 1", "gone", "x=y", status=1)
    assert desk.json("label", "a 1") == {"labels": {"k": "v", "source": "s3://b/"}}


def test_many_root_inputs_of_a_folder_have_one_command(desk):
    for number in range(12):
        desk.write(f"data/it's {number}", str(number))
    desk.write("data/a=b", "x")
    desk.write("zeta", "y")
    desk.roar("run", "sh", "-c", "cat data/* zeta > out")

    for left in (14, 1):
        item = checklist(desk)["every root input has a source"]
        assert len(item["problems"]) == left
        assert item["hint"].startswith("roar label ")
        follow(desk, item["hint"])
    assert checklist(desk)["every root input has a source"]["passed"] is True


@pytest.mark.parametrize("name", ["@", "@1", "@-1"])
def test_a_root_input_with_the_name_of_a_job_is_labelled_by_its_digest(desk, name):
    desk.write(name, "1")
    desk.roar("run", "sh", "-c", "cat ./@* > out")
    follow(desk, checklist(desk)["every root input has a source"]["hint"])
    assert checklist(desk)["every root input has a source"]["passed"] is True


def test_nothing_is_ticked_of_a_session_without_jobs(desk):
    desk.init()
    desk.roar("run", "true")
    desk.roar("reset")
    done = desk.roar("status", "--checklist", status=1)
    assert (done.stdout, done.stderr) == ("", "roar: This session has no jobs yet.\n  try: roar run COMMAND\n")


def test_the_versions_of_other_programs_are_not_ticked(desk):
    program = desk.root.parent / "conda" / "bin" / "tool"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho 1 > out\n")
    program.chmod(0o755)
    (program.parent.parent / "conda-meta").mkdir()
    for words, passed in ((["sh", "-c", "echo 1 > out"], True), ([str(program)], None)):
        desk.roar("run", *words)
        found = json.loads(desk.roar("status", "--checklist", "--json", status=1).stdout)
        items = {item["title"]: item for item in found["checklist"]}
        assert items["the environment is known"]["passed"] is passed
    assert items["the environment is known"]["problems"][0].startswith("@2 may have run programs or loaded")


@pytest.mark.parametrize(("record", "proven"), [
    ("../../../bin/tool,sha256=x,{size}", True), ("../../../bin/tool,,", True),
    ("../../../bin/tool,sha256=x,1", False), ("../../../bin/tool2,sha256=x,{size}", False),
    ("../../../bin/tool", False), (None, False)])
@pytest.mark.parametrize("linked", [False, True])
def test_a_program_that_a_wheel_installed_has_its_version(desk, record, proven, linked):
    environment = desk.root / ".venv"
    tool = desk.write(".venv/bin/tool", "#!/bin/sh\necho 1 > out\n")
    tool.chmod(0o755)
    desk.write(".venv/bin/python", "")
    desk.write(".venv/pyvenv.cfg", "home = /usr/bin\nversion = 3.12.1\n")
    packages = environment / "lib" / "python3.12" / "site-packages"
    for name in ("tool-9.dist-info", "Other_Tools-1.2.dist-info"):
        desk.write(str(packages / name / "RECORD"), "x.py,,\n")
    if record is not None:
        desk.write(str(packages / "Other_Tools-1.2.dist-info" / "RECORD"),
                   "x.py,,\n" + record.format(size=tool.stat().st_size) + "\nz.py,,\n")
    program = tool
    if linked:
        program = desk.home / ".local" / "bin" / "tool"
        program.parent.mkdir(parents=True)
        program.symlink_to(tool)
    desk.roar("run", str(program))
    found = json.loads(desk.roar("status", "--checklist", "--json", status=1).stdout)
    items = {item["title"]: item for item in found["checklist"]}
    assert items["the environment is known"]["passed"] is (True if proven else None)
    packages = [{"name": "Other-Tools", "version": "1.2"}]
    assert desk.job()["python"] == ({"version": "3.12.1", "packages": packages} if proven else None)


@pytest.mark.parametrize(("place", "shebang", "passed"), [
    ("/usr/local/bin/{name}", "#!/bin/sh", None),
    ("/usr/local/bin/{name}", "#!/usr/bin/env python3", True),
    ("{conda}/bin/{name}", "#!/bin/sh", None),
    ("{conda}/bin/uv", "#!/bin/sh", True),
    ("/opt/{name}", "#!/bin/sh", True),
])
def test_the_versions_of_other_programs_beside_python_are_not_ticked(desk, place, shebang, passed):
    conda = desk.root.parent / "conda"
    (conda / "bin").mkdir(parents=True)
    (conda / "conda-meta").mkdir()
    program = Path(place.format(conda=conda, name=f"tool{os.getpid()}"))
    program.write_text(f"{shebang}\n")
    program.chmod(0o755)
    try:
        desk.write("t.py", f"import subprocess\nsubprocess.run([{str(program)!r}], check=True)\nopen('o', 'w')\n")
        desk.roar("run", "python", "-B", "t.py")
    finally:
        program.unlink()
    found = json.loads(desk.roar("status", "--checklist", "--json", status=1).stdout)
    items = {item["title"]: item for item in found["checklist"]}
    assert items["the environment is known"]["passed"] is passed
    assert (" unversioned" in desk.roar("show", "@1").stdout) is (passed is None)


@pytest.mark.parametrize("command", ["prep", "python3 ~/.local/bin/prep", "PYTHONPATH=~/.local/lib/mine python3 m.py"])
@pytest.mark.parametrize("installed", [False, True])
def test_a_program_in_python_of_the_user_s_own_is_not_ticked(desk, command, installed):
    desk.write("m.py", "import mine\n")
    program = desk.home / ".local/bin/prep"
    module = desk.home / ".local/lib/mine/mine.py"
    packages = desk.home / ".local/lib/python3.11/site-packages/prep-1.dist-info"
    for path in (program, module, packages / "RECORD"):
        path.parent.mkdir(parents=True, exist_ok=True)
    program.write_text("#!/usr/bin/env python3\n")
    program.chmod(0o755)
    module.write_text("")
    if installed:
        (packages / "RECORD").write_text("../../../bin/prep,,23\n../../../lib/mine/mine.py,sha256=x,0\n")
    desk.roar("run", "sh", "-c", f"export HOME={desk.home} PATH={desk.home}/.local/bin:$PATH; {command}; echo > o")
    found = json.loads(desk.roar("status", "--checklist", "--json", status=None).stdout)
    items = {item["title"]: item for item in found["checklist"]}
    assert items["the environment is known"]["passed"] is (True if installed else None)
    assert (" unversioned" in desk.roar("show", "@1").stdout) is not installed


def test_modules_of_other_languages_beside_python_are_not_ticked(desk):
    desk.write("node_modules/x/index.js", "1\n")
    desk.write("t.py", "open('node_modules/x/index.js').read()\nopen('o', 'w')\n")
    desk.roar("run", "python", "-B", "t.py")
    found = json.loads(desk.roar("status", "--checklist", "--json", status=1).stdout)
    items = {item["title"]: item for item in found["checklist"]}
    assert items["the environment is known"]["passed"] is None


@pytest.mark.parametrize("place", ["/opt/lib", "/usr/local/lib", "{home}/.triton/cache/x", "{root}"])
def test_libraries_of_no_release_are_not_ticked(desk, place):
    library = Path(place.format(home=desk.home, root=desk.root), f"libx{os.getpid()}.so.1")
    library.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-shared", "-o", library, "-x", "c", "/dev/null"], check=True)
    try:
        desk.write("t.py", f"import ctypes\nctypes.CDLL({str(library)!r})\nopen('o', 'w')\n")
        desk.roar("run", "python", "-B", "t.py")
    finally:
        library.unlink()
    found = json.loads(desk.roar("status", "--checklist", "--json", status=1).stdout)
    items = {item["title"]: item for item in found["checklist"]}
    assert items["the environment is known"]["passed"] is (None if "{" not in place else True)


@pytest.mark.parametrize("lists", [True, False])
def test_a_program_that_a_distribution_brought_is_known_by_its_version(desk, lists):
    environment = desk.root.parent / "env"
    distribution = environment / "lib/python3.11/site-packages/nin_ja-1.2.3.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "RECORD").write_text("nin_ja.py,,\n" + "../../../bin/nin-ja,,\n" * lists)
    (environment / "pyvenv.cfg").touch()
    program = environment / "bin" / "nin-ja"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    desk.write("t.py", f"import subprocess\nsubprocess.run([{str(program)!r}], check=True)\nopen('o', 'w')\n")
    desk.roar("run", "python", "-B", "t.py")
    assert ({"name": "nin-ja", "version": "1.2.3"} in desk.job()["python"]["packages"]) is lists
    found = json.loads(desk.roar("status", "--checklist", "--json", status=1).stdout)
    items = {item["title"]: item for item in found["checklist"]}
    assert items["the environment is known"]["passed"] is (True if lists else None)


def test_the_checklist_ticks_only_what_was_checked(copy, desk):
    def items(status):
        done = desk.roar("status", "--checklist", "--json", status=status)
        return {item["title"]: item for item in json.loads(done.stdout)["checklist"]}

    desk.write("raw2", "x")
    copy("raw", "data", "1")
    found = items(1)
    assert found["the code is in a commit"]["passed"] is True
    assert found["the commits are on a remote"]["passed"] is False
    assert found["the commits are on a remote"]["hint"] == "git remote add origin URL && git push -u origin main"
    assert found["every root input has a source"]["problems"] == ["raw has no known source"]
    assert found["the environment is known"]["passed"] is True
    desk.roar("label", "raw", "source=https://example.org/raw")
    remote = desk.root.parent / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", str(remote)], check=True)
    desk.git("remote", "add", "origin", str(remote))
    assert items(1)["the commits are on a remote"]["hint"] == "git push -u origin main"
    desk.git("push", "-q", "-u", "origin", "main")
    assert all(item["passed"] for item in items(0).values())
    assert "[ ]" not in desk.roar("status", "--checklist").stdout
    desk.write("append.py", COPY + "\n# changed\n")
    copy("raw", "data", "1")
    assert items(1)["the code is in a commit"]["hint"] == "git commit -a && roar run @1"
    desk.write("data", "by hand")
    assert items(1)["the outputs are up to date"]["problems"] == [
        "data: no longer what @1 wrote",
        "no command mends it: what @1 wrote was changed since, and would be written over"]
    secret = "https://user:hunter2secret@example.org/x"
    done = desk.roar("label", "@1", f"key={secret}")
    assert "is not kept" in done.stderr
    assert "hunter2secret" not in done.stdout
    assert items(1)["no secrets that the rules of redaction know"]["passed"] is True
    database = open_database(str(desk.root / ".roar" / "roar.db"))
    set_label(database, ("job", 1), "key", secret)
    set_label(database, ("job", database.execute("SELECT max(id) FROM job").fetchone()[0]), "key", secret)
    database.close()
    assert items(1)["no secrets that the rules of redaction know"]["passed"] is False


def test_the_checklist_says_how_each_commit_gets_to_a_remote(desk):
    def hint():
        done = desk.roar("status", "--checklist", "--json", status=1)
        (item,) = (item for item in json.loads(done.stdout)["checklist"] if "on a remote" in item["title"])
        return item["hint"]

    desk.init()
    remote = desk.root.parent / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", str(remote)], check=True)
    desk.git("remote", "add", "upstream", str(remote))
    desk.git("push", "-q", "-u", "upstream", "main")
    desk.write("more", "x")
    desk.git("add", "more")
    desk.git("commit", "-q", "-m", "more")
    desk.roar("run", "true")
    assert hint() == "git push"
    commit = desk.git("rev-parse", "HEAD")[:12]
    desk.git("checkout", "-q", "--detach")
    assert hint() == "git push -u upstream main"
    desk.git("checkout", "-q", "main")
    desk.git("reset", "-q", "--hard", "HEAD~1")
    assert hint() == f"git push -u upstream {commit}:refs/heads/run-{commit}"
    desk.git(*shlex.split(hint())[1:])
    assert json.loads(desk.roar("status", "--checklist", "--json").stdout)
    for branch in ("one", "two"):
        desk.git("checkout", "-q", "-b", branch, "main")
        desk.git("commit", "-q", "--allow-empty", "-m", branch)
        desk.roar("run", "echo", branch)
    subprocess.run(["bash", "-c", hint()], cwd=desk.root, env=desk.env, check=True, capture_output=True)
    assert json.loads(desk.roar("status", "--checklist", "--json").stdout)


def test_the_checklist_says_how_to_make_a_first_commit(desk):
    def hints():
        done = desk.roar("status", "--checklist", "--json", status=1)
        return {item["title"]: item["hint"] for item in json.loads(done.stdout)["checklist"]}

    desk.roar("run", "true")
    assert hints()["the commits are on a remote"] == "git init && git commit --allow-empty"
    assert hints()["the code is in a commit"] == "git init && git commit --allow-empty && roar run @1"
    desk.git("init", "-q")
    assert hints()["the commits are on a remote"] == "git commit --allow-empty"
    assert hints()["the code is in a commit"] == "git commit --allow-empty && roar run @1"


def test_commits_on_two_branches_are_both_pushed_by_the_hint(desk):
    def item():
        done = desk.roar("status", "--checklist", "--json", status=None)
        return next(item for item in json.loads(done.stdout)["checklist"] if "on a remote" in item["title"])

    desk.init()
    remote = desk.root.parent / "remote.git"
    subprocess.run(["git", "init", "-q", "--bare", str(remote)], check=True)
    desk.roar("run", "true")
    for branch in ("one", "it's"):
        desk.git("checkout", "-q", "-b", branch, "main")
        desk.git("commit", "-q", "--allow-empty", "-m", branch)
        desk.roar("run", "echo", branch)
    hint = item()["hint"]
    assert hint == "git remote add origin URL && git push -u origin \"it's\" one"
    subprocess.run(["sh", "-ec", hint.replace("URL", str(remote))], cwd=desk.root, env=desk.env, check=True,
                   capture_output=True)
    assert item()["passed"] is True


@pytest.mark.parametrize(("begun", "hint"), [(True, ""), (False, "git init && ")])
def test_before_the_first_commit_the_hint_begins_with_what_is_missing(desk, begun, hint):
    if begun:
        desk.git("init", "-q")
    desk.write("a.py", "pass\n")
    desk.roar("run", "python", "a.py")
    items = json.loads(desk.roar("status", "--checklist", "--json", status=1).stdout)["checklist"]
    found = {item["title"]: item["hint"] for item in items}
    assert found["the commits are on a remote"] == f"{hint}git add a.py && git commit"
    assert found["the code is in a commit"] == f"{hint}git add a.py && git commit && roar run @1"


def test_an_input_that_git_tracks_has_its_source_there(desk):
    desk.write("append.py", COPY)
    desk.write("raw", "raw")
    desk.init()
    desk.roar("run", sys.executable, "append.py", "raw", "data", "")
    done = json.loads(desk.roar("status", "--checklist", "--json", status=1).stdout)
    found = {item["title"]: item["passed"] for item in done["checklist"]}
    assert found["every root input has a source"] is True
    assert found["the commits are on a remote"] is False


def test_a_source_in_git_is_one_that_brings_what_was_read(desk):
    def sources():
        done = desk.roar("status", "--checklist", "--json", status=None)
        items = json.loads(done.stdout)["checklist"]
        return next((item["problems"], item["hint"]) for item in items if item["title"].endswith("has a source"))

    desk.write("append.py", COPY)
    for name in ("*.txt", "plain.txt"):
        desk.write(name, name)
    desk.init()
    desk.write("-raw $x", "read, and never committed")
    desk.write("more.txt", "no business of *.txt")
    desk.roar("run", sys.executable, "append.py", "./-raw $x", "1.out", "")
    desk.roar("run", sys.executable, "append.py", "*.txt", "2.out", "")
    desk.roar("run", sys.executable, "append.py", "plain.txt", "3.out", "")
    desk.write("-raw $x", "something else")
    os.unlink(desk.root / "plain.txt")
    problems, hint = sources()
    assert problems == ["-raw $x has no known source"]
    desk.roar(*shlex.split(hint.replace("URL", "https://example.org/raw"))[1:])
    assert sources() == ([], None)


def test_commands_that_run_at_the_same_time_are_all_recorded(desk):
    running = [desk.start("run", "-q", "sh", "-c", f"echo {number} > f{number}") for number in range(8)]
    assert [process.wait(60) for process in running] == [0] * 8
    jobs = desk.json("log")["jobs"]
    assert sorted(job["step"] for job in jobs) == list(range(1, 9))
    assert {use["path"] for job in jobs for use in job["outputs"]} == {f"f{number}" for number in range(8)}


def test_an_empty_file_that_is_named_by_its_path_is_that_file_alone(desk):
    desk.roar("run", "sh", "-c", ": > one; mkdir many; for n in $(seq 120); do : > many/$n; done")
    desk.roar("run", "sh", "-c", "cat one > first")
    desk.roar("run", "sh", "-c", "cat many/* one > second")
    desk.write("never", "")
    jobs = [desk.job(f"@{step}")["uid"] for step in (1, 2, 3)]

    def told(ref):
        found = desk.json("show", ref)
        uses = [(use["job"], use["path"]) for use in (*found["produced_by"], *found["used_by"])]
        return uses, found["names"], len(found["datasets"])

    assert told("one") == ([(jobs[0], "one"), (jobs[2], "one"), (jobs[1], "one")], ["one"], 0)
    assert told("many/7") == ([(jobs[0], "many/7"), (jobs[2], "many/7")], ["many/7"], 1)
    assert told("never") == ([], [], 0)
    everywhere, _, datasets = told(desk.json("show", "one")["digest"])
    assert {path for _, path in everywhere} >= {"one", "first", "second", "many/7"}
    assert datasets == 1


def test_what_cannot_be_read_is_neither_gone_nor_changed(desk):
    desk.write("mk.py", "import os\nfor name in ('a', 'b', 'sub'):\n    os.mkdir(name)\n"
               "for name in ('out', 'sub/x', *(f'{folder}/{number}' for folder in 'ab' for number in range(150))):\n"
               "    open(name, 'w').write(name)\n")
    desk.write("in", "in")
    desk.roar("run", sys.executable, "mk.py")
    desk.roar("run", "cp", "in", "copy")
    desk.roar("run", "cp", "out", "copy2")
    desk.write("a/7", "changed")
    closed = [desk.root / name for name in ("a/5", "b/5", "out", "sub", "in")]
    for path in closed:
        path.chmod(0)
    desk.be_anybody()
    said = [desk.roar(*words, status=None) for words in (["status", "--json"], ["status"], ["show", "b"])]
    for path in closed:
        path.chmod(0o755)
    outputs = {output["path"]: (output["state"], output["reason"]) for output in json.loads(said[0].stdout)["outputs"]}
    assert outputs == {
        "a/": ("changed", "no longer what @1 wrote"),
        "b/": ("unreadable", "cannot be read: Permission denied (5)"),
        "out": ("unreadable", "cannot be read: Permission denied"),
        "sub/x": ("unreadable", "cannot be read: Permission denied"),
        "copy": ("stale", "its input in cannot be read: Permission denied"),
        "copy2": ("stale", "its input out cannot be read: Permission denied"),
    }
    assert "  unreadable\n    b/     @1  cannot be read: Permission denied (5)\n" in said[1].stdout
    assert said[2].stderr.startswith("roar: b/5 cannot be read now: Permission denied.\n  recorded as ")
    assert {output["state"] for output in desk.json("status")["outputs"]} == {"fresh", "changed"}


def test_a_read_only_record_is_read(desk):
    desk.roar("run", "true")
    for path in (*(desk.root / ".roar").iterdir(), desk.root / ".roar"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    desk.be_anybody()
    done = desk.roar("log", status=None)
    (desk.root / ".roar").chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("@1 ")


def test_a_record_that_is_closed_to_us_is_no_missing_record(desk):
    desk.roar("run", "true")
    folder = desk.root / ".roar"
    folder.chmod(0)
    desk.be_anybody()
    sentence = f"{folder} cannot be read: Permission denied."
    for words in (["status"], ["show", "@1"], ["log"], ["dag"], ["recover"], ["run", "@1"], ["init"],
                  ["init", "--here"]):
        assert desk.roar(*words, status=1).stderr == f"roar: {sentence}\n  try: ls -ld {folder}\n"
    checks = json.loads(desk.roar("doctor", "--json", status=1).stdout)["checks"]
    assert [(check["name"], check["text"]) for check in checks if check["ok"] is False] == [("workspace", sentence)]


@pytest.mark.parametrize(("name", "reason"), [("roar.db", "Is a directory"), ("pending", "Not a directory"),
                                              ("roar.db", "No such file or directory")])
def test_what_is_no_record_is_named(desk, name, reason):
    desk.roar("init")
    path = desk.root / ".roar" / name
    path.unlink(missing_ok=True)
    if name == "pending":
        path.write_text("")
    elif reason == "Is a directory":
        path.mkdir()
    else:
        path.symlink_to("gone/away")
    for verb in ("status", "log", "dag"):
        assert desk.roar(verb, status=1).stderr == f"roar: {path} cannot be read: {reason}.\n  try: ls -ld {path}\n"
    checks = json.loads(desk.roar("doctor", "--json", status=1).stdout)["checks"]
    assert [check["text"] for check in checks if check["ok"] is False] == [f"{path} cannot be read: {reason}."]


def test_evidence_is_kept_while_the_record_is_broken(desk):
    desk.roar("run", "true")
    database = desk.root / ".roar" / "roar.db"
    database.unlink()
    database.mkdir()
    desk.roar("run", "sh", "-c", "echo x > kept")
    assert desk.roar("recover", status=1).stderr.startswith(f"roar: {database} cannot be read: Is a directory.\n")
    assert [check["text"] for check in json.loads(desk.roar("doctor", "--json", status=1).stdout)["checks"]
            if check["name"] == "evidence"] == ["1 job running or not recorded yet"]
    database.rmdir()
    assert len(desk.json("recover")["recovered"]) == 1
    assert [use["path"] for use in desk.job()["outputs"]] == ["kept"]


def test_a_repository_that_git_takes_for_another_user_s_is_not_told_as_missing(desk):
    desk.write("in", "tracked")
    desk.init()
    desk.roar("run", "cp", "in", "out")
    desk.env |= {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1", "GIT_CONFIG_GLOBAL": str(desk.home / ".gitconfig")}
    says = f"detected dubious ownership in repository at '{desk.root}'"
    mends = f"git config --global --add safe.directory {desk.root}"

    def items():
        done = desk.roar("status", "--checklist", "--json", status=None)
        return {item["title"]: item for item in json.loads(done.stdout)["checklist"]}

    for title in ("the commits are on a remote", "every root input has a source"):
        assert (items()[title]["passed"], items()[title]["problems"]) == (None, [f"git says: {says}"])
        assert items()[title]["hint"] == mends
    assert f"cannot be had, as git says: {says}. Try: {mends}\n" in desk.roar("reproduce", "out", status=1).stdout
    said = desk.roar("run", "cp", "in", "other").stderr
    assert said.startswith(f"roar: The code's version is not recorded, as git says: {says}. Try: {mends}\n")
    assert desk.job()["tracer"]["gaps"][-1] == "the code's version: git says: detected dubious ownership in repository"
    assert f"wrong git: {says}" in desk.roar("doctor", status=1).stdout
    said = desk.roar("pop", "--delete-outputs", "--json", status=None).stderr
    assert f" (it says: {says}); nothing there is deleted\n  try: {mends}\n" in said
    subprocess.run(mends, shell=True, check=True, env=desk.env, cwd=desk.root)
    desk.roar("run", "cp", "in", "out")
    assert desk.job()["git"]["commit"]
    assert "is in no branch of a remote" in items()["the commits are on a remote"]["problems"][0]
    assert desk.roar("doctor").returncode == 0
    assert desk.roar("reproduce", "out").returncode == 0


def test_log_knows_no_tracker_of_that_name(desk):
    desk.roar("run", "true")
    done = desk.roar("log", "--tracker", "wandbb", status=1)
    assert done.stderr.startswith("roar: There is no tracker 'wandbb'.")
    assert "wandb" in done.stderr.splitlines()[1]
    assert "No job of this session passes" in desk.roar("log", "--tracker", "wandb").stdout


def test_steps_of_another_session_have_no_number_here(desk):
    desk.roar("run", "sh", "-c", "echo > made")
    assert f"@1  {desk.job('@1')['uid'][:8]}  as made" in desk.roar("show", "made").stdout
    uid = desk.job("@1")["uid"]
    desk.roar("reset")
    desk.roar("run", "cp", "made", "copy")
    said = desk.roar("show", "made").stdout
    assert re.search(rf"(?m)^ +{uid[:8]}  as made$", said)
    assert "@1  " + desk.job("@1")["uid"][:8] in said
    uses = desk.json("show", "made")["produced_by"]
    assert [desk.json("show", use["session"])["jobs"][0]["uid"] for use in uses] == [use["job"] for use in uses]
    assert [use["job"] for use in uses] == [desk.job("@1")["uid"], uid]


def test_log_lists_the_jobs_that_run(desk):
    desk.roar("run", "true")
    process = desk.start("run", "-q", "--name", "long", "--label", "who=me", "sh", "-c", "read line; echo $line > out",
                         stdin=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 30
        while not (jobs := desk.json("log", "--status", "running")["jobs"]) and time.monotonic() < deadline:
            time.sleep(0.05)
        (job,) = jobs
        assert (job["name"], job["step"], job["state"], job["exit_code"]) == ("long", None, "running", None)
        assert job["command"][:2] == ["sh", "-c"]
        assert [job["state"] for job in desk.json("log")["jobs"]] == ["running", "done"]
        first, second = desk.roar("log").stdout.splitlines()
        assert "running" in first
        assert "long: sh -c" in first
        assert second.startswith("@1")
        for filters in (["--label", "who=me"], ["long"], ["--since", "1h"]):
            assert desk.json("log", *filters)["jobs"][0]["name"] == "long"
        for filters in (["--label", "who=you"], ["--path", "out"], ["--tracker", "wandb"], ["--until", "1h"],
                        ["short"]):
            assert desk.json("log", *filters)["jobs"] == []
    finally:
        process.communicate("done\n", timeout=30)
    assert [(job["step"], job["state"]) for job in desk.json("log", "long")["jobs"]] == [(2, "done")]


def test_the_first_job_of_a_workspace_is_shown_while_it_runs(desk):
    process = desk.start("run", "-q", "--name", "long", "--label", "who=me", "sh", "-c", "echo $$ > pid; read line",
                         stdin=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 30
        while not ((desk.root / "pid").exists() and (found := desk.json("status")["running"])
                   and found[0]["pid"]) and time.monotonic() < deadline:
            time.sleep(0.05)
        (running,) = found
        assert running["command"] == ["sh", "-c", "echo $$ > pid; read line"]
        assert running["pid"] == int((desk.root / "pid").read_text())
        lines = desk.roar("status").stdout.splitlines()
        assert lines[0] == "1 job running"
        assert lines[1].split()[0] == running["job"][:8]
        assert lines[1].endswith("running    long: sh -c 'echo $$ > pid; read line'")
        for ref in (running["job"], running["job"][:4].upper()):
            shown = desk.json("show", ref)
            assert (shown["uid"], shown["state"], shown["step"]) == (running["job"], "running", None)
            assert (shown["pid"], shown["started_at"]) == (running["pid"], running["started_at"])
            assert shown["tracer"]["mode"] != "none"
        text = desk.roar("show", running["job"][:6]).stdout
        assert text.startswith(f"job {running['job']}  running  long\n  sh -c 'echo $$ > pid; read line'\n")
        assert f"\n  pid      {running['pid']}\n" in text
        assert re.search(r"(?m)^  started  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d, .+ ago$", text)
        done = desk.roar("show", status=1)
        assert done.stderr == ("roar: No job has been recorded yet; one is running.\n"
                               f"  try: roar show {running['job'][:8]}\n")
    finally:
        process.communicate("done\n", timeout=30)
    assert desk.json("status")["running"] == []
    assert "running" not in desk.roar("status").stdout
    assert desk.json("show", running["job"])["state"] == "done"


def test_of_many_tracker_runs_some_of_each_tracker_are_listed(desk):
    desk.write("sweep.py", "import os\nfor number in range(130):\n    os.makedirs(f'runs/{number:03}')\n"
               "    open(f'runs/{number:03}/events.out.tfevents.1800000000.h.1.0', 'wb').write(bytes(21)"
               " + b'\\x1a\\x0dbrain.Event:2')\n"
               "os.makedirs('vdl')\n"
               "open('vdl/vdlrecords.1800000000.log', 'wb').write(bytes(40))\n")
    said = desk.roar("run", sys.executable, "sweep.py").stderr
    job = desk.job()
    assert len(job["tracker_runs"]) == 131
    more = f"… and 120 more: roar show {job['uid'][:8]} --all"
    assert [line.split("·")[0].split() for line in said.splitlines() if line.startswith("  TensorBoard  run ")] == [
        ["TensorBoard", "run", f"runs/{number:03}"] for number in range(10)]
    assert f"  TensorBoard  {more}\n  VisualDL     run vdl " in said
    text = desk.roar("show").stdout
    assert (text.count("TensorBoard  run runs/"), f"  TensorBoard  {more}\n" in text) == (10, True)
    assert desk.roar("show", "--all").stdout.count("TensorBoard  run runs/") == 130
    assert desk.roar("show", "runs/125").stdout.splitlines()[2].startswith("  TensorBoard  run runs/125, local")


def test_options_of_python_itself_leave_the_script_its_place(desk):
    desk.write("t.py", "")
    desk.roar("run", "python", "t.py", "5")
    desk.roar("run", "python", "-O", "-X", "dev", "t.py", "6")
    changes = desk.json("diff", "@1", "@2")["parameters"]
    assert {change["name"]: (change["before"], change["after"]) for change in changes} == {
        "python -O": (None, "given"), "python -X": (None, "dev"), "word 2": ("5", "6")}


def test_a_copy_of_a_folder_made_by_hand_is_its_dataset_and_a_part_says_of_what(desk):
    desk.roar("run", "bash", "-c", "for f in a b; do mkdir -p data/$f; for i in $(seq 60); do echo $f$i > data/$f/$i;"
              " done; done; mkdir few; echo 1 > few/one; echo 2 > few/two")
    maker = desk.job("@1")["uid"]
    shutil.copytree(desk.root / "data", desk.root / "by" / "hand")
    assert [job["uid"] for job in desk.json("lineage", "by/hand")["jobs"]] == [maker]
    assert desk.json("show", "by/hand/")["digest"] == desk.json("show", "data")["digest"]
    assert "but it holds copies of recorded data.\n  by/hand\n" in desk.roar("show", "by", status=1).stderr
    desk.write("by/hand/a/1", "another")
    assert "No recorded job" in desk.roar("show", "by/hand", status=1).stderr
    shutil.rmtree(desk.root / "data" / "b")
    for part in ("data/a", "data/b/"):
        assert desk.roar("dag", part, status=1).stderr == (
            f"roar: No recorded job read or wrote '{part}' by itself; it is part of the dataset data/.\n"
            "  try: roar show data/\n")
    told = desk.roar("dag", "few", status=1).stderr
    assert "No recorded job read or wrote 'few' as a whole, but what is below it." in told
    assert ("few/one" in told, "few/two" in told) == (True, True)


def test_a_folder_is_answered_by_what_is_recorded_in_it(desk):
    desk.roar("run", "bash", "-c", "for f in a b; do mkdir -p all/data/$f; for i in $(seq 60); do echo $f$i >"
              " all/data/$f/$i; done; done")
    desk.write("all/raw", "raw")
    desk.roar("run", "sh", "-c", "cat all/data/a/1 all/raw > all/model")
    desk.roar("run", "sh", "-c", "cat all/data/b/1 > other")
    maker, reader, other = (desk.job(f"@{step}")["uid"] for step in (1, 2, 3))
    show, lineage = (lambda ref: desk.json("show", ref)), (lambda *words: {
        job["uid"] for job in desk.json("lineage", *words)["jobs"]})
    part = show("all/data/a")
    assert (part["kind"], part["path"], part["digest"], part["files"]) == ("folder", "all/data/a/", None, 60)
    assert [use["job"] for use in part["produced_by"]] == [maker]
    assert [use["job"] for use in part["used_by"]] == [reader]
    assert lineage("all/data/a") == {maker}
    for both in (["--both"], ["--up", "--down"], ["--direction", "down", "--direction", "up"]):
        assert lineage("all/data/a", *both) == {maker, reader}
    assert lineage("all/data/b", "--down") == {other}
    above = show("all/")
    assert [(member["path"], member["kind"]) for member in above["members"]] == [
        ("data/", "dataset"), ("model", "file"), ("raw", "file")]
    assert {use["job"] for use in above["produced_by"]} == {maker, reader}
    assert lineage("all", "--both") == {maker, reader, other}
    assert [root["path"] for root in desk.json("inputs", "all")["inputs"]] == ["all/raw"]
    for root in (".", str(desk.root)):
        assert desk.json("lineage", root, "--both")["root"] == "./"
        assert lineage(root, "--both") == {maker, reader, other}
        assert show(root)["files"] == 123
    text = desk.roar("show", "all/data/a").stdout
    assert text.startswith("folder all/data/a/  ")
    assert f"@2  {reader[:8]}  as all/data/a/1" in text
    assert "… and 40 more: roar show all/data/a --all\n" in text


def test_a_file_of_a_size_that_no_artifact_has_is_not_read(desk):
    desk.roar("run", "sh", "-c", "echo a > out")
    with (desk.root / "huge").open("wb") as file:
        file.truncate(1 << 40)
    assert "No recorded job read or wrote 'huge'" in desk.roar("show", "huge", status=1).stderr


def test_what_is_no_file_is_named_as_what_it_is(desk):
    desk.roar("run", "true")
    os.mkfifo(desk.root / "ff")
    for verb in ("show", "lineage"):
        told = desk.roar(verb, "ff", status=1).stderr
        assert told.startswith("roar: 'ff' is a fifo, whose content is not recorded.")


def test_a_setting_that_there_is_not_cannot_be_unset_but_taken_out_of_the_file(desk):
    told = "roar: There is no setting 'glaas.ur'. Did you mean 'glaas.url'?\n  try: roar config\n"
    assert desk.roar("config", "--unset", "glaas.ur", status=1).stderr == told
    assert desk.roar("config", "glaas.ur", status=1).stderr == told
    desk.roar("config", "--unset", "glaas.url")
    desk.write(".roar/config.toml", "[glaas]\nur = 1\n")
    desk.roar("config", "--unset", "glaas.ur")
    assert "ur" not in (desk.root / ".roar" / "config.toml").read_text().split()


def test_a_byte_and_its_spelling_do_not_look_alike(desk):
    desk.roar("run", "python", "-c", r"[open(name, 'w').write(name.hex()) for name in (b'a\xff', rb'a\xff')]")
    text = desk.roar("show").stdout
    assert (r"  a\xff" in text, r"  a\\xff" in text) == (True, True)


def test_words_are_found_beside_names_and_labels_that_are_no_text(desk):
    desk.roar("run", "-q", "--name", b"k\xff", "true")
    desk.roar("run", "-q", "--label", b"x\xff=\xfe", "sh", "-c", "true")
    assert len(desk.json("log", "true")["jobs"]) == 2
    assert len(desk.json("log", b"k\xff")["jobs"]) == 1
    assert len(desk.json("log", b"\xfe")["jobs"]) == 1


def test_jobs_are_found_by_the_workspace_and_what_is_above_it(desk):
    desk.write("in", "a")
    (desk.root / "s").mkdir()
    desk.roar("run", "-q", "sh", "-c", "cat in > s/o")
    desk.roar("run", "-q", "true")
    for place in (".", "./", "..", "/", str(desk.root)):
        assert len(desk.json("log", "--path", place)["jobs"]) == 1, place
    done = desk.roar("log", "--path", "..", "--json", cwd=desk.root / "s")
    assert len(json.loads(done.stdout)["jobs"]) == 1


def test_code_with_backslashes_and_tabs_is_a_patch_that_git_applies(desk):
    desk.write("t.py", 'if True:\n\tprint("a\\n")\n')
    desk.init()
    desk.roar("run", "-q", "python", "t.py")
    desk.write("t.py", 'if True:\n\tprint("b\\n", "\\\\")\n')
    desk.git("commit", "-qam", "other")
    desk.roar("run", "-q", "python", "t.py")
    first, second = (job["uid"] for job in reversed(desk.json("log")["jobs"]))
    said = desk.roar("diff", "--code", first, second).stdout
    assert '-\tprint("a\\n")\n+\tprint("b\\n", "\\\\")\n' in said
    desk.git("reset", "-q", "--hard", "HEAD~")
    (desk.root / "patch").write_text(said[said.index("diff --git"):])
    desk.git("apply", "patch")
    assert desk.git("diff", "HEAD@{1}") == ""


def test_a_file_of_a_forgotten_job_has_not_changed(desk):
    desk.roar("run", "-q", "sh", "-c", "echo 1 > a")
    desk.roar("pop")
    for verb in ("lineage", "show"):
        said = desk.roar(verb, "a", status=1).stderr
        assert said.startswith("roar: a is in no job that is still recorded.")


def test_log_takes_a_path_as_answers_show_it(desk):
    """From a folder below, as `show` does; what is known as typed there comes first."""
    desk.write("s/c", "c")
    desk.write("a\nb", "odd")
    desk.roar("run", "-q", "cp", "s/c", "out")
    desk.roar("run", "-q", "cp", "out", "s/out")
    desk.roar("run", "-q", "cp", "a\nb", "s/d")

    def steps(path, folder="s"):
        done = desk.roar("log", "--path", path, "--json", cwd=desk.root / folder)
        return [job["step"] for job in json.loads(done.stdout)["jobs"]]

    assert steps("s/c") == [1]
    assert steps("s/d") == [3]
    assert steps("out") == [2]
    assert steps("../out") == [2, 1]
    assert steps("out", ".") == [2, 1]
    assert steps(r"a\nb") == steps(r"a\nb", ".") == [3]
    assert steps("s") == [3, 2, 1]
    assert steps("nothing") == []
    desk.roar("reset")
    desk.roar("run", "-q", "true")
    assert steps("s/c") == []
    assert "--all" in desk.roar("log", "--path", "s/c", cwd=desk.root / "s").stdout


@pytest.mark.parametrize("files", [1, 12])
def test_what_a_job_moved_with_its_folder_was_made_by_the_one_before(desk, files):
    """Its files are older than the job that moved them; one that reads the same elsewhere, too, changes nothing."""
    desk.init()
    desk.roar("run", "-q", "sh", "-c", f"mkdir d; for i in $(seq {files}); do echo made $i > d/$i; done")
    time.sleep(0.3)
    desk.roar("run", "-q", "mv", "d", "e")
    desk.roar("run", "-q", "sh", "-c", "cp e/1 copy; cat e/* copy > out")
    assert desk.json("inputs", "out")["inputs"] == []
    assert checklist(desk)["every root input has a source"]["passed"]


def test_the_graph_says_what_is_stale_as_the_files_are_now(copy, desk):
    copy("raw", "a", "1")
    copy("a", "b", "2")
    desk.write("raw", "new")
    stale = ["its input raw has changed since", "@1, which it took inputs from, is stale"]
    assert [node["stale"] for node in desk.json("dag")["nodes"] if node["type"] == "job"] == stale
    assert all(text in desk.roar("dag").stdout for text in stale)
    desk.roar("dag", "--svg", "g.svg")
    assert stale[0] in (desk.root / "g.svg").read_text()
    session = desk.json("status")["session"]
    desk.roar("reset")
    copy("raw", "c", "3")
    assert [node["stale"] for node in desk.json("dag", session)["nodes"] if node["type"] == "job"] == [None, None]
