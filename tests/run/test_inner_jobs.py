"""`roar run` within `roar run`: what an inner job recorded is its own, and nothing that it did not see is lost."""

import functools
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from blake3 import blake3

sys.path.insert(0, str(Path(__file__).parents[1] / "commands"))  # importlib mode does not look beside a test module
from checklists import checklist, follow

import roar

COMPLETE = ["full", "seccomp"]
MODES = [*COMPLETE, "preload"]
ROAR = f"{sys.executable} -m roar"


def digest(text):
    return blake3(text.encode()).hexdigest()


def names(uses):
    return [use["path"] for use in uses]


AUTHOR = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def script(desk, *lines):
    """Run these lines of a shell script under roar; its job."""
    desk.write("pipe.sh", "\n".join(["set -e", *lines]))
    desk.init()
    desk.roar("run", "--name", "outer", "sh", "pipe.sh")
    return by_name(desk, "outer")


def by_name(desk, name):
    found = [job for job in desk.json("log")["jobs"] if job["name"] == name]
    assert len(found) == 1
    return desk.job(found[0]["uid"])


@pytest.mark.parametrize("mode", MODES)
def test_the_inner_job_is_the_maker(desk, mode):
    desk.env["ROAR_TRACER_MODE"] = mode
    desk.write("table.csv", "1")
    desk.init()
    desk.write("table.csv", "12")  # git looks at it for the inner job
    desk.write("pipe.sh", f"""echo x > raw
{ROAR} run -q --name inner sh -c 'cat raw | tr x y > made'
cat made | tr y z > final
{ROAR} status > status.txt
""")
    desk.roar("run", "--name", "outer", "sh", "pipe.sh")
    outer, inner = by_name(desk, "outer"), by_name(desk, "inner")
    assert (names(outer["inputs"]), names(outer["outputs"])) == (["made"], ["final", "raw", "status.txt"])
    assert (names(inner["inputs"]), names(inner["outputs"])) == (["raw"], ["made"])
    assert outer["tracer"]["mode"] == mode
    lineage = desk.json("lineage", "made")
    assert [job["uid"] for job in lineage["jobs"]] == [inner["uid"], outer["uid"]]
    assert [made["job"] for made in desk.json("show", "made")["produced_by"]] == [inner["uid"]]
    for verb in (["dag"], ["status"], ["inputs", "final"], ["reproduce", "final"], ["lineage", "raw", "--both"]):
        desk.roar(*verb, status=None)  # a circle of jobs ends


@pytest.mark.parametrize("static", [False, pytest.param(True, marks=pytest.mark.skipif(
    shutil.which("gcc") is None, reason="no compiler: apt-get install gcc"))])
@pytest.mark.parametrize("mode", MODES)
def test_what_the_inner_job_may_have_missed(desk, tmp_path, mode, static):
    """Its library has seen all of it where none of its programs went without, as the job around it can see."""
    desk.env["ROAR_TRACER_MODE"] = mode
    (tmp_path / "still.c").write_text("int main(void) { return 0; }\n")
    if static:
        subprocess.run(["gcc", "-static", "-o", tmp_path / "still", tmp_path / "still.c"], check=True)
    program = f"{tmp_path}/still" if static else "(cat out; true) | sort"
    script(desk, f"{ROAR} run -q --name inner sh -c 'echo 1 > out; {program}'",
           f"{ROAR} run -q --name other sh -c 'echo 2 > other'")
    told = {name: bool(by_name(desk, name)["tracer"]["gaps"]) for name in ("outer", "inner", "other")}
    assert told == {"outer": mode == "preload", "inner": static or mode == "preload", "other": mode == "preload"}
    if not any(told.values()):
        assert checklist(desk)["every job was observed without gaps"]["passed"] is True


def test_what_is_written_over_by_the_inner_job_is_not_the_outer_ones(desk):
    job = script(desk, "echo a > log", f"{ROAR} run -q sh -c 'echo b >> log'", "cat log > copy")
    assert (names(job["inputs"]), names(job["outputs"])) == (["log"], ["copy"])


def test_what_the_outer_job_writes_after_the_inner_one_is_its_own(desk):
    job = script(desk, f"{ROAR} run -q sh -c 'echo b > log; echo c > gone'", "echo a >> log", "rm gone")
    assert (names(job["inputs"]), names(job["outputs"])) == (["log"], ["log"])


def test_what_the_inner_job_moves_is_gone_for_the_outer_one(desk):
    job = script(desk, "mkdir d; echo a > d/one", f"{ROAR} run -q --name inner sh -c 'mv d e; mv e/one two'",
                 "cat two > three")
    assert (names(job["inputs"]), names(job["outputs"])) == (["two"], ["three"])
    assert job["tracer"]["gaps"] == []
    assert names(by_name(desk, "inner")["outputs"]) == ["two"]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler: apt-get install gcc")
def test_what_the_inner_job_could_not_see_is_the_outer_ones(desk, tmp_path):
    source = tmp_path / "still.c"
    source.write_text('#include <stdio.h>\nint main(void) { return fputs("x", fopen("by-static", "w")) < 0; }\n')
    subprocess.run(["gcc", "-static", "-o", tmp_path / "still", source], check=True)
    job = script(desk, f"{ROAR} run -q --name inner sh -c 'echo x > by-shell; {tmp_path}/still'")
    assert names(job["outputs"]) == ["by-static"]
    assert names(by_name(desk, "inner")["outputs"]) == ["by-shell"]


@pytest.mark.parametrize("mode", ["full", "seccomp"])
def test_what_is_redirected_for_the_inner_job_is_its_own(desk, mode):
    desk.env["ROAR_TRACER_MODE"] = mode
    desk.write("in", "1\n")
    job = script(desk, f"{ROAR} run -q --name inner tr 1 2 < in > out", "echo x > own")
    assert (names(job["inputs"]), names(job["outputs"])) == ([], ["own"])
    inner = by_name(desk, "inner")
    assert (names(inner["inputs"]), names(inner["outputs"])) == (["in"], ["out"])
    assert [one["uid"] for one in desk.json("lineage", "out")["jobs"]] == [inner["uid"]]


def test_what_the_script_itself_is_redirected_to_stays_its_output(desk):
    desk.write("pipe.sh", f"{ROAR} run -q echo 1; echo 2\n")
    desk.init()
    with (desk.root / "all.txt").open("w") as file:
        process = desk.start("run", "-q", "--name", "outer", "sh", "pipe.sh", stdout=file)
        assert process.wait(60) == 0
    assert names(by_name(desk, "outer")["outputs"]) == ["all.txt"]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler: apt-get install gcc")
def test_what_a_program_of_the_inner_job_wrote_past_its_library_is_the_outer_ones(desk, tmp_path):
    source = tmp_path / "raw.c"
    source.write_text("""#include <fcntl.h>
#include <sys/syscall.h>
static long call(long number, long a, long b, long c, long d)
{
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}
int main(void) { return call(SYS_openat, AT_FDCWD, (long)"raw", O_CREAT | O_WRONLY, 0600) < 0; }
""")
    subprocess.run(["gcc", "-o", tmp_path / "raw", source], check=True)
    job = script(desk, f"{ROAR} run -q --name inner sh -c 'echo x > seen; {tmp_path}/raw'")
    assert names(job["outputs"]) == ["raw"]
    assert names(by_name(desk, "inner")["outputs"]) == ["seen"]


def test_what_the_inner_job_leaves_in_the_background_is_the_outer_ones(desk):
    job = script(desk, f"{ROAR} run -q --name inner sh -c '(sleep 1.2; echo 1 > late) & echo 2 > soon'", "sleep 2")
    assert names(job["outputs"]) == ["late"]
    assert names(by_name(desk, "inner")["outputs"]) == ["soon"]


@pytest.mark.parametrize("count", [2, 150])
def test_a_folder_of_the_inner_job_that_the_outer_one_moves(desk, count):
    desk.write("make.py", f"import os\nos.mkdir('t')\nfor n in range({count}): open(f't/{{n}}', 'w').write(str(n))\n")
    job = script(desk, f"{ROAR} run -q --name inner {sys.executable} make.py", "mv t d")
    assert all(use["digest"] for use in (*job["inputs"], *job["outputs"]))
    inner = by_name(desk, "inner")
    assert [one["uid"] for one in desk.json("lineage", "d/1")["jobs"]] == [job["uid"], inner["uid"]]


@pytest.mark.parametrize("words", ["-u -m roar", "-Bm roar", "-X dev -m roar", "-u SCRIPT", "LINK", "-P MODULE"])
def test_roar_by_other_ways_looks_for_nobody(desk, words):
    program = shutil.which("roar", path=desk.env["PATH"])
    (desk.root / "rr").symlink_to(program)
    module = os.path.join(os.path.dirname(roar.__file__), "__main__.py")
    words = "./rr" if words == "LINK" else (
        f"{sys.executable} {words.replace('SCRIPT', program).replace('MODULE', module)}")
    job = script(desk, f"{words} run -q sh -c 'echo 1 > mid'", "echo x > own")
    assert (names(job["inputs"]), names(job["outputs"])) == ([], ["own"])


def test_an_inner_job_of_another_workspace_is_not_in_this_record(desk, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    desk.roar("init", cwd=other)
    job = script(desk, f"cd {other}", f"{ROAR} run -q sh -c 'echo x > made'")
    assert names(job["outputs"]) == [f"{other}/made"]


def test_an_inner_job_that_is_not_recorded_is_the_outer_ones(desk):
    job = script(desk, f"{ROAR} run -q --name inner sh -c 'echo x > made'", f"{ROAR} pop")
    assert names(job["outputs"]) == ["made"]


def test_forked_children_and_scripts_of_the_inner_job(desk):
    code = "import os\\npid = os.fork()\\nopen(f'f{int(not pid)}', 'w').write('x')\\nif pid: os.wait()"
    desk.write("child.py", code.replace("\\n", "\n"))
    job = script(desk, f"{ROAR} run -q --name inner {sys.executable} child.py", "echo 1 > own")
    assert names(job["outputs"]) == ["own"]
    assert names(by_name(desk, "inner")["outputs"]) == ["f0", "f1"]
    assert job["python"] is None


def test_a_tracker_run_is_the_inner_jobs(desk):
    desk.write("train.py", "import wandb\nrun = wandb.init(mode='offline', project='p')\nrun.finish()\n")
    job = script(desk, f"{ROAR} run -q --name inner {sys.executable} train.py", "echo 1 > own")
    assert job["tracker_runs"] == []
    assert names(job["outputs"]) == ["own"]
    assert [run["tracker"] for run in by_name(desk, "inner")["tracker_runs"]] == ["wandb"]


def test_roar_itself_at_work(desk, tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    (served / "data.csv").write_text("1,2")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=served)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        job = script(desk, f"{ROAR} get -q http://127.0.0.1:{server.server_port}/data.csv data.csv",
                     "cat data.csv > copy", f"{ROAR} dag --svg dag.svg")
        server.shutdown()
    assert (names(job["inputs"]), names(job["outputs"])) == (["data.csv"], ["copy", "dag.svg"])
    made = [desk.job(use["job"]) for use in desk.json("show", "data.csv")["produced_by"] if use["path"] == "data.csv"]
    assert [job["command"][:2] for job in made] == [["roar", "get"]]


def maker(desk, path):
    """The names of the jobs in a file's lineage, its maker first."""
    return [job["name"] for job in desk.json("lineage", path)["jobs"]]


def contents(uses):
    return [(use["path"], use["digest"]) for use in uses]


@pytest.mark.parametrize("mode", COMPLETE)
@pytest.mark.parametrize("keep", ["mv m m-$i", "cp m m-$i", "ln m m-$i; rm m"])
def test_each_round_of_a_sweep_reads_what_its_inner_job_made(desk, mode, keep):
    desk.env["ROAR_TRACER_MODE"] = mode
    for number in "123":
        desk.write(f"in{number}", number)
    job = script(desk, "for i in 1 2 3; do", f'{ROAR} run -q --name r$i sh -c "(cat in$i; echo) > m"', keep, "done")
    expected = [digest(f"{number}\n") for number in "123"]
    assert contents(job["inputs"]) == [("m", one) for one in expected]
    assert contents(job["outputs"]) == [(f"m-{number}", one) for number, one in zip("123", expected, strict=True)]
    for number in "123":
        makers = desk.json("show", expected[int(number) - 1])["produced_by"]
        assert {desk.job(made["job"])["name"] for made in makers} == {f"r{number}", "outer"}
        assert {"outer", "r1", "r2", "r3"} == set(maker(desk, f"m-{number}"))
    assert "stale" not in desk.roar("status").stdout
    assert [step["job"] for step in desk.json("reproduce", "m-2")["steps"]][-1] == job["uid"]
    said = desk.roar("reproduce", "m-2", "--run").stdout
    assert all(f"  same     {one[:12]} m-{number}" in said for number, one in zip("123", expected, strict=True))


@pytest.mark.parametrize("write", ["echo $i > cfg", "sed -i s/./$i/ cfg", "echo $i > new; mv new cfg"])
def test_the_settings_that_a_sweep_writes_for_each_of_its_jobs(desk, write):
    """Each job read its own; to run one again by itself would take those of the last for it."""
    desk.env |= AUTHOR
    desk.write("cfg", "0\n")
    desk.write("data", "d")
    rounds = ["for i in 1 2 3; do", write, f'{ROAR} run -q --name r$i sh -c "cat data cfg > m-$i; : $i"', "done"]
    outer = script(desk, *rounds)
    assert [(desk.root / f"m-{i}").read_text() for i in "123"] == ["d1\n", "d2\n", "d3\n"]
    assert [step["stale"] for step in desk.json("status")["steps"]] == [None] * 4
    items = checklist(desk)
    assert items["the outputs are up to date"]["passed"] is True
    assert not [item["hint"] for item in items.values() if re.search(r"roar run @[12]\b", item["hint"] or "")]
    desk.write("data", "e")
    hint = checklist(desk)["the outputs are up to date"]["hint"]
    if write.startswith("sed"):  # what lies there may have been edited already
        assert hint.endswith("roar run @3")  # what that has read lies there yet
        follow(desk, hint)
        assert "cfg is edited in place" in checklist(desk)["the outputs are up to date"]["problems"][-1]
        assert [(desk.root / f"m-{i}").read_text() for i in "123"] == ["d1\n", "d2\n", "e3\n"]
        hint = f"roar run @{outer['step']}"
    assert hint.endswith(f"roar run @{outer['step']}")
    follow(desk, hint)
    assert [(desk.root / f"m-{i}").read_text() for i in "123"] == ["e1\n", "e2\n", "e3\n"]
    assert "stale" not in desk.roar("status").stdout


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("levels", [2, 3])
def test_whoever_is_around_a_job_is_known(desk, mode, levels):
    desk.env["ROAR_TRACER_MODE"] = mode
    desk.write("sweep.sh", f"for i in 1 2; do echo $i > cfg; {ROAR} run -q cp cfg m$i; done")
    desk.write("pipe.sh", f"{ROAR} run -q sh sweep.sh; echo done > log")
    desk.roar("run", "-q", "sh", "sweep.sh" if levels == 2 else "pipe.sh")
    assert "stale" not in desk.roar("status").stdout
    (desk.root / "m1").unlink()
    assert not re.search(r"try: .*roar run @1$", desk.roar("status", "--checklist", status=None).stdout, re.MULTILINE)


def test_a_job_that_failed_and_cannot_run_by_itself_is_run_by_its_script(desk):
    desk.env |= AUTHOR
    desk.write("data", "d\n")
    desk.write("code", "3")
    desk.write("pipe.sh", "for i in 1 2; do echo $i > cfg\n"
               f'{ROAR} run -q sh -c "cat data cfg > m$i; [ $i = 2 ] || exit \\$(cat code)"; done')
    desk.init()
    desk.roar("run", "-q", "sh", "pipe.sh")
    desk.write("code", "0")
    items = checklist(desk)
    assert items["every step ended well"]["hint"].endswith("roar run @3")
    assert not [text for text in items["every step ended well"]["problems"] if "no command" in text]
    follow(desk, items["every step ended well"]["hint"])
    assert "stale" not in desk.roar("status").stdout
    assert (desk.root / "m1").read_text() == "d\n1\n"


def test_a_job_that_was_killed_in_a_script_that_went_on_is_run_by_that(desk):
    desk.env |= AUTHOR
    desk.write("data", "d\n")
    desk.write("kill", "")
    desk.write("pipe.sh", f"{ROAR} run -q sh -c 'cat data > m; [ -e kill ] && kill -9 $$; true'; cat m > all")
    desk.init()
    desk.roar("run", "-q", "sh", "pipe.sh")
    (desk.root / "kill").unlink()
    items = checklist(desk)
    assert items["every step ended well"]["hint"] == items["the outputs are up to date"]["hint"]
    follow(desk, items["every step ended well"]["hint"])
    assert checklist(desk)["every step ended well"]["passed"] is True


@pytest.mark.parametrize("change", ["echo 2 > raw", "echo 2 >> raw", "echo 2 > new; mv new raw"])
def test_what_lay_there_before_the_script_is_stale_where_that_changes_it(desk, change):
    desk.write("raw", "1\n")
    time.sleep(0.3)
    script(desk, f"{ROAR} run -q cp raw model", change)
    assert [step["stale"] for step in desk.json("status")["steps"]] == ["its input raw was written again by @2", None]


@pytest.mark.parametrize(("place", "away"), [("cfg", "rm cfg"), ("cfg", "mv cfg $HOME/old"), ("$(mktemp)", "rm $c")])
def test_what_a_script_gave_its_jobs_and_then_took_away(desk, place, away):
    desk.env |= AUTHOR
    desk.write("data", "d")
    outer = script(desk, "for i in 1 2; do", f"c={place}", "echo $i > $c",
                   f'{ROAR} run -q sh -c "cat data $c > m-$i; : $i"', away, "done",
                   "cat m-1 m-2 > said")
    assert "stale" not in desk.roar("status").stdout
    items = checklist(desk)
    assert items["the outputs are up to date"]["passed"] is True
    assert not [text for text in items["every root input has a source"]["problems"] if "data" not in text]
    assert {root["path"] for root in desk.json("inputs", "@1")["inputs"]} == {"data"}
    cfg = next(use["path"] for use in desk.job("@1")["inputs"] if use["path"] != "data")
    assert re.search(rf"from  {cfg}  \w+  2 B +← @3 ", desk.roar("lineage", "@1").stdout)
    plan = desk.json("reproduce", "@1")
    assert ([job["uid"] for job in plan["jobs"]], {root["path"] for root in plan["roots"]}) == (
        [outer["uid"]], {"data"})
    done = desk.roar("reproduce", "@1", "--run").stdout
    assert [line.split()[0] for line in done.splitlines()[:3]] == ["same"] * 3
    desk.write("data", "e")
    hint = checklist(desk)["the outputs are up to date"]["hint"]
    assert hint.endswith(f"roar run @{outer['step']}")
    follow(desk, hint)
    assert [(desk.root / f"m-{i}").read_text() for i in "12"] == ["e1\n", "e2\n"]
    assert "stale" not in desk.roar("status").stdout


def remade_table(desk, outer):
    """The table once it was put aside for its script, and all is up to date."""
    hint = checklist(desk)["the outputs are up to date"]["hint"]
    assert re.search(rf"mv table \S+ && roar run @{outer['step']} && rm \S+$", hint)
    follow(desk, hint)
    assert "stale" not in desk.roar("status").stdout
    return (desk.root / "table").read_text()


def test_settings_that_a_script_writes_are_not_an_older_jobs(desk):
    """They may have the content of what that had left at the same path."""
    desk.env |= AUTHOR
    for name in "ab":
        desk.write(f"data-{name}", f"{name}\n")
        desk.write(f"s-{name}.sh", f"head -c 0 data-{name} > cfg; echo x >> cfg; "
                                   f"{ROAR} run -q --name in-{name} sh -c 'cat cfg > out-{name}'\n"
                                   + ("rm cfg\n" if name == "b" else ""))
    desk.init()
    for name in "ab":
        time.sleep(0.3)
        desk.roar("run", "-q", "--name", f"outer-{name}", "sh", f"s-{name}.sh")
    assert maker(desk, "out-b") == ["in-b", "outer-b"]
    assert {root["path"] for root in desk.json("inputs", "out-b")["inputs"]} == {"data-b"}
    desk.write("data-a", "aa\n")
    stale = {desk.job(step["job"])["name"]: step["stale"] for step in desk.json("status")["steps"]}
    assert {name for name, why in stale.items() if why} == {"in-a", "outer-a"}
    hint = checklist(desk)["the outputs are up to date"]["hint"]
    assert hint.endswith(f"roar run @{by_name(desk, 'outer-a')['step']}")
    follow(desk, hint)
    assert "stale" not in desk.roar("status").stdout
    assert maker(desk, "out-b") == ["in-b", "outer-b"]


@pytest.mark.parametrize("write", ["cat raw > cfg", "echo x > cfg"])
def test_a_script_that_was_killed_once_and_ran_well_again(desk, write):
    """What the killed one had left is not what the jobs of the next one read."""
    desk.env |= AUTHOR
    desk.write("raw", "x\n")
    desk.write("kill", "")
    desk.write("pipe.sh", f"{write}; {ROAR} run -q --name inner sh -c 'cat cfg > out'; [ -e kill ] && kill -9 $$;"
                          " rm cfg")
    desk.init()
    desk.roar("run", "-q", "sh", "pipe.sh", status=-signal.SIGKILL)
    (desk.root / "kill").unlink()
    for _ in range(2):
        time.sleep(0.3)
        desk.roar("run", "-q", "sh", "pipe.sh")
    assert "stale" not in desk.roar("status").stdout
    assert checklist(desk)["the outputs are up to date"]["passed"] is True


def test_settings_that_a_script_found_are_their_makers(desk):
    """To touch them or to move them away and back does not make them the script's."""
    desk.write("one", "x\n")
    desk.init()
    for change in ("true", "touch cfg", "mv cfg old; mv old cfg", "cp cfg old; mv old cfg", "chmod a+r cfg"):
        desk.roar("run", "-q", "--name", f"first {change}", "cp", "one", "cfg")
        time.sleep(0.3)
        desk.write("pipe.sh", f"{change}; {ROAR} run -q sh -c 'cat cfg > out'; rm cfg")
        desk.roar("run", "-q", "sh", "pipe.sh")
        assert f"first {change}" in maker(desk, "out"), change


@pytest.mark.parametrize("begin", ["echo header > table", "[ -f table ] || echo header > table"])
def test_a_table_that_a_script_begins_and_its_jobs_add_to(desk, begin):
    desk.env |= AUTHOR
    desk.write("data", "d")
    outer = script(desk, begin, f'for i in 1 2; do {ROAR} run -q sh -c "echo $i \\$(cat data) >> table"; done',
                   "wc -l < table > count")
    items = checklist(desk)
    assert items["the outputs are up to date"]["passed"] is True
    assert not [text for text in items["every root input has a source"]["problems"] if "data" not in text]
    assert {root["path"] for root in desk.json("inputs", "table")["inputs"]} == {"data"}
    assert {job["step"] for job in desk.json("lineage", "table")["jobs"]} == {1, 2, 3}
    desk.write("data", "e")
    assert remade_table(desk, outer) == "header\n1 e\n2 e\n"
    desk.roar("run", "-q", "sh", "-c", "echo 3 >> table")  # what the script would not make again
    desk.write("data", "f")
    item = checklist(desk)["the outputs are up to date"]
    assert item["hint"] is None
    assert item["problems"][-1] == "no command mends it: table is edited in place, and no step has made it"


def test_a_table_that_lay_there_before_the_script_is_not_begun_by_it(desk):
    desk.write("data", "d")
    desk.write("table", "old\n")
    script(desk, "echo header >> table", f'{ROAR} run -q sh -c "cat data >> table"')
    desk.write("data", "e")
    item = checklist(desk)["the outputs are up to date"]
    assert item["hint"] is None
    assert item["problems"][-1] == "no command mends it: table is edited in place, and no step has made it"
    assert (desk.root / "table").read_text() == "old\nheader\nd"


def test_what_somebody_puts_where_a_script_writes_its_settings(desk):
    """The script writes its own again; nothing of what it made is stale, and none of it is made with those."""
    desk.env |= AUTHOR
    desk.write("data", "d")
    outer = script(desk, "for i in 1 2; do echo $i > cfg", f'{ROAR} run -q sh -c "cat data cfg > m-$i; : $i"; done')
    desk.write("cfg", "7\n")
    desk.roar("run", "-q", "cp", "cfg", "mine")
    status = desk.json("status")
    assert {output["path"]: output["state"] for output in status["outputs"]} == {
        "m-1": "fresh", "m-2": "fresh", "mine": "fresh", "cfg": "changed"}
    assert checklist(desk)["the outputs are up to date"]["hint"] is None
    desk.write("data", "e")
    assert checklist(desk)["the outputs are up to date"]["problems"][-1] == (
        f"no command mends it: what @{outer['step']} wrote was changed since, and would be written over")


@pytest.mark.parametrize("way", ['LR=$(cat lr); {} run -q sh -c "cat data > model; echo $LR >> model"',
                                 'export LR=$(cat lr); {} run -q sh -c "cat data > model; echo \\$LR >> model"',
                                 'cat lr | {} run -q sh -c "cat data - > model"'])
def test_what_a_script_hands_to_a_job_in_it_makes_that_stale(desk, way):
    desk.env |= AUTHOR
    desk.write("data", "d\n")
    desk.write("lr", "5\n")
    outer = script(desk, way.format(ROAR))
    desk.roar("run", "-q", "cp", "model", "kept")
    assert "stale" not in desk.roar("status").stdout
    desk.write("lr", "6\n")
    assert {step["step"]: step["stale"] for step in desk.json("status")["steps"]} == {
        1: "@2, which ran it, is stale", 2: "its input lr has changed since",
        3: "@1, which it took inputs from, is stale"}
    hint = checklist(desk)["the outputs are up to date"]["hint"]
    assert hint.endswith(f"roar run @{outer['step']}")
    follow(desk, hint)
    assert (desk.root / "model").read_text() == "d\n6\n"


PIPES = {"shell": ["score=$({0} run -q {1})", "echo $score > table"],
         "tee": ["{0} run -q {1} | tee table"],
         "capture": ["cat > drive.py <<'EOF'", "import subprocess",
                     "done = subprocess.run('{0} run -q {1}', shell=True, capture_output=True)",
                     "open('table', 'wb').write(done.stdout)", "EOF", "python3 drive.py"],
         "nameless": ["cat > drive.py <<'EOF'", "import subprocess, tempfile",
                      "file = tempfile.TemporaryFile()",
                      "subprocess.run('{0} run -q {1}', shell=True, stdout=file)", "file.seek(0)",
                      "open('table', 'wb').write(file.read())", "EOF", "python3 drive.py"]}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", PIPES)
def test_what_a_script_takes_from_a_job_in_it_by_a_pipe(desk, way, mode):
    """It is nowhere in a file; but what is made of it came from the job, and is stale with that."""
    desk.env |= {**AUTHOR, "ROAR_TRACER_MODE": mode}
    desk.write("data", "d\n")
    outer = script(desk, *(line.format(ROAR, "wc -l data") for line in PIPES[way]))
    desk.roar("run", "-q", "--", "sh", "-c", "cat table table > kept")
    inner = next(job["uid"] for job in desk.json("log")["jobs"] if job["command"][0] == "wc")
    lineage = desk.json("lineage", "table")
    assert [job["uid"] for job in lineage["jobs"]] == [outer["uid"], inner]
    assert {"source": inner, "target": outer["uid"], "role": "printed"} in lineage["edges"]
    assert re.search(f"what was printed +← @1 {inner[:8]}", desk.roar("lineage", "table").stdout)
    down = desk.json("lineage", "data", "--down")
    assert [job["uid"] for job in down["jobs"]][:2] == [inner, outer["uid"]]
    assert f"took  what was printed by @1 {inner[:8]}" in desk.roar("lineage", "data", "--down").stdout
    assert names(desk.json("inputs", "kept")["inputs"]) == ["data"]
    assert "↳ @2" in desk.roar("dag").stdout
    assert {"source": inner, "target": outer["uid"], "role": "printed"} in desk.json("dag")["edges"]
    assert "stale" not in desk.roar("status").stdout
    desk.write("data", "e\ne\n")
    told = "what @1 printed for it is from inputs that have changed since"
    assert {step["step"]: step["stale"] for step in desk.json("status")["steps"]} == {
        1: "its input data has changed since", 2: told, 3: "@2, which it took inputs from, is stale"}
    hint = checklist(desk)["the outputs are up to date"]["hint"]
    assert hint.endswith("roar run @2")
    desk.roar("run", "-q", "@1")
    assert {step["step"]: step["stale"] for step in desk.json("status")["steps"]} == {
        1: None, 2: told, 3: "@2, which it took inputs from, is stale"}
    assert checklist(desk)["the outputs are up to date"]["hint"] == hint
    follow(desk, hint)
    follow(desk, checklist(desk)["the outputs are up to date"]["hint"])
    assert "stale" not in desk.roar("status").stdout
    assert (desk.root / "kept").read_text() == "2 data\n2 data\n"


@pytest.mark.parametrize("to", ["", "> /dev/null", "> file", ">&2"])
def test_what_a_job_prints_past_its_script_that_has_not_taken(desk, to):
    """What the script prints itself goes to a pipe here."""
    desk.write("data", "d\n")
    script(desk, f"{ROAR} run -q cat data {to}", "echo x > table")
    assert len(desk.json("lineage", "table")["jobs"]) == 1
    desk.write("data", "e\n")
    assert "table" not in desk.roar("status").stdout.partition("stale")[2].partition("up to date")[0]


def test_the_innermost_script_takes_what_a_job_prints(desk):
    desk.write("data", "d\n")
    desk.write("deep.sh", f"score=$({ROAR} run -q cat data); echo $score > scores; echo done\n")
    desk.write("plain.sh", f"{ROAR} run -q cat data data; echo x > note\n")
    outer = script(desk, f"said=$({ROAR} run -q sh deep.sh); echo $said > all",
                   f"{ROAR} run -q sh plain.sh | cat > copy")
    edges = [(edge["source"], edge["target"]) for edge in desk.json("lineage", "copy")["edges"]
             if edge["role"] == "printed"]
    job = {job["uid"]: " ".join(job["command"]) for job in desk.json("log")["jobs"]}
    assert sorted((job[source], job[target]) for source, target in edges) == [
        ("cat data", "sh deep.sh"), ("cat data data", "sh pipe.sh"), ("sh deep.sh", "sh pipe.sh"),
        ("sh plain.sh", "sh pipe.sh")]
    assert len(desk.json("lineage", "scores")["jobs"]) == 2
    assert outer["uid"] not in {one["uid"] for one in desk.json("lineage", "note")["jobs"]}


def test_a_sweep_that_takes_the_score_of_each_round(desk):
    desk.env |= AUTHOR
    desk.write("data", "d\n")
    outer = script(desk, "for i in 1 2; do echo $i > cfg", f"score=$({ROAR} run -q cat cfg data)",
                   'echo "$i" $score >> table.new; done', "mv table.new table")
    assert "stale" not in desk.roar("status").stdout
    assert len(desk.json("lineage", "table")["jobs"]) == 3
    desk.write("data", "e\n")
    assert "table" in desk.roar("status").stdout
    hint = checklist(desk)["the outputs are up to date"]["hint"]
    assert hint.endswith(f"roar run @{outer['step']}")
    follow(desk, hint)
    assert "stale" not in desk.roar("status").stdout
    assert (desk.root / "table").read_text() == "1 1 e\n2 2 e\n"


@pytest.mark.parametrize("ends_well", [True, False])
def test_a_job_of_which_a_script_took_the_words_and_that_failed(desk, tmp_path, ends_well):
    again = f"{ROAR} run -q sh flaky.sh" if ends_well else "true"
    desk.write("flaky.sh", f"echo x; [ -e {tmp_path}/tried ] || {{ mkdir {tmp_path}/tried; exit 1; }}\n")
    script(desk, f"score=$({ROAR} run -q sh flaky.sh) || score=$({again})", "echo $score > table")
    assert desk.json("status")["steps"][1]["stale"] is None  # it has seen how that ended


def stale_steps(desk):
    return {step["step"]: step["stale"] for step in desk.json("status")["steps"] if step["stale"]}


@pytest.mark.parametrize("recipe", [f'echo "v: `{ROAR} run -q cat $<`" > $@', f"{ROAR} run -q cat $< | tee $@",
                                    f"{ROAR} run -q cp $< $@", "cat $< > $@"])
def test_make_that_makes_again_only_what_it_has_to(desk, recipe):
    """Each run of it made another part of the targets; what was made before is of the run that made it."""
    desk.write("Makefile", f"all: a.out b.out\n%.out: %\n\t{recipe}\n")
    desk.write("a", "1\n")
    desk.write("b", "2\n")
    desk.init()
    desk.roar("run", "-q", "make", "-s")

    def change(name, text, *, mends):
        desk.write(name, text)
        os.utime(desk.root / name, (later := time.time() + next(seconds), later))
        states = {one["path"]: one["state"] for one in desk.json("status")["outputs"]}
        assert states[f"{name}.out"] == "stale"
        assert name == "b" or states["b.out"] == "fresh", "of the run before the last"
        if mends:
            desk.roar("run", "-q", "make", "-s")
            os.utime(desk.root / f"{name}.out", (later + 1, later + 1))
            assert "stale" not in desk.roar("status").stdout

    seconds = iter(range(10, 100, 10))
    change("b", "3\n", mends=True)
    change("a", "4\n", mends=True)
    change("b", "5\n", mends=False)
    assert {one["path"]: one["state"] for one in desk.json("status")["outputs"]}["a.out"] == "fresh"


@pytest.mark.parametrize("hand", ["echo $lr > conf; {} run -q sh -c 'cat conf data > model'; rm conf",
                                  "echo $lr > conf; {} run -q sh -c 'cat conf data > model'",
                                  '{} run -q sh -c "echo $lr > model; cat data >> model"',
                                  "echo $lr | {} run -q sh -c 'cat - data > model'"])
@pytest.mark.parametrize("own", [[], ["echo $lr > note"]])
def test_what_a_job_printed_that_a_script_hands_to_the_next(desk, hand, own):
    desk.env |= AUTHOR
    desk.write("data", "d\n")
    desk.write("tune", "1\n")
    outer = script(desk, f"lr=$({ROAR} run -q wc -l tune)", *own, hand.format(ROAR))
    desk.roar("run", "-q", "--", "sh", "-c", "cat model model > kept")
    assert stale_steps(desk) == {}
    desk.write("tune", "1\n2\n")
    model = next(one for one in desk.json("status")["outputs"] if one["path"] == "model")
    assert model["reason"] == f"@{outer['step']}, which ran it, is stale"
    hint = checklist(desk)["the outputs are up to date"]["hint"]
    assert hint.endswith(f"roar run @{outer['step']}")
    desk.roar("run", "-q", "@1")
    assert checklist(desk)["the outputs are up to date"]["hint"] == hint
    follow(desk, hint)
    follow(desk, checklist(desk)["the outputs are up to date"]["hint"])
    assert stale_steps(desk) == {}
    assert (desk.root / "kept").read_text() == "2 tune\nd\n" * 2


def test_jobs_of_a_script_before_another_one_and_beside_it_are_not_stale_with_that(desk):
    for name in ("one", "two", "three"):
        desk.write(name, f"{name}\n")
    script(desk, f"{ROAR} run -q sh -c 'cat one > one.out'", f"score=$({ROAR} run -q cat two)",
           f"{ROAR} run -q sh -c 'cat three > three.out'", "echo $score > table")
    desk.write("one", "1\n")
    assert stale_steps(desk) == {1: "its input one has changed since"}
    desk.write("one", "one\n")
    desk.write("two", "2\n")
    assert sorted(stale_steps(desk)) == [2, 3, 4], "nobody knows what the script has done with what was printed"


@pytest.mark.parametrize("take", ["x=$({} run -q wc -l data); echo $x > table",
                                  "{} run -q cp data copy; wc copy > table"])
def test_no_script_runs_again_without_what_a_job_in_it_needs(desk, take):
    desk.write("data", "d\n")
    script(desk, take.format(ROAR))
    (desk.root / "data").unlink()
    item = checklist(desk)["the outputs are up to date"]
    assert (item["passed"], item["hint"]) == (False, None)
    assert item["problems"][-1] == "no command mends it: data is gone, which @1 needs"


def test_no_script_runs_again_for_a_job_that_fails_for_good(desk):
    desk.write("data", "d\n")
    script(desk, f"{ROAR} run -q grep -c x data > count || true", "wc count > table")
    for _ in range(2):
        assert checklist(desk)["the outputs are up to date"]["hint"] == "roar show @1"
        desk.roar("run", "-q", "@2")


def test_a_round_of_a_sweep_that_diverged(desk):
    """What it left is of a failed job, whatever the next round does; and the sweep would do the same again."""
    desk.write("train.sh", "cat cfg > m-$(cat cfg); echo done; [ $(cat cfg) != 2 ]\n")
    script(desk, "for i in 1 2 3; do echo $i > cfg; score=$(" + ROAR + " run -q sh train.sh) || score=nan",
           "cat m-$i; echo $score; done > table")
    states = {one["path"]: (one["state"], one["reason"]) for one in desk.json("status")["outputs"]}
    assert states["m-2"] == ("stale", "@1, which wrote it, ended with exit status 1")
    assert (states["m-1"][0], states["m-3"][0]) == ("fresh", "fresh")
    assert states["table"] == ("stale", "@1, which it took inputs from, did not end well")
    for _ in range(2):
        assert checklist(desk)["the outputs are up to date"]["problems"][-1] == (
            "no command mends it: @2 would make the same again")
        desk.roar("run", "-q", "@2")


@pytest.mark.parametrize("wrapper", ["env A=1", "nice", "./shim", "sh -c 'exec cp data \"$@\"' -", "python exec.py"])
@pytest.mark.parametrize("mode", MODES)
def test_a_program_that_executes_another_one_is_the_inner_job_s(desk, mode, wrapper):
    desk.env |= {"ROAR_TRACER_MODE": mode}
    desk.write("data", "d\n")
    desk.write("exec.py", "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])\n")
    desk.write("shim", '#!/bin/sh\nexec nice "$@"\n')
    (desk.root / "shim").chmod(0o755)
    copy = "" if wrapper.startswith("sh") else "cp data "
    outer = script(desk, f"{ROAR} run -q --name inner {wrapper} {copy}out")
    inner = by_name(desk, "inner")
    assert ("data" in names(inner["inputs"]), names(inner["outputs"])) == (True, ["out"])
    assert (names(outer["inputs"]), names(outer["outputs"])) == ([], [])
    assert mode == "preload" or inner["tracer"]["gaps"] == []


def follow_all(desk, lines=("the outputs are up to date",)):
    """Follow the hints of some lines of the checklist until there are none; those that were followed."""
    hints = []
    while hint := next((item["hint"] for title, item in checklist(desk).items()
                        if title in lines and item["hint"]), None):
        assert len(hints) < 5, "they do not end"
        hints.append(hint)
        follow(desk, hint)
    return hints


@pytest.mark.parametrize("last", [ROAR + ' run -q cp "$tmp/a" out', 'cat "$tmp/a" > out',
                                  ROAR + ' run -q cp "$tmp/a" "$tmp/b"; mv "$tmp/b" out'])
@pytest.mark.parametrize(("folder", "mode"), [("$(mktemp -d)", "full"), ("$(mktemp -d ./tmp.XXXX)", "full"),
                                              ("tmp; mkdir tmp", "full"), ("$(mktemp -d)", "preload")])
@pytest.mark.parametrize("times", [1, 2])
def test_temporary_files_of_a_script_that_its_jobs_wrote(desk, tmp_path, folder, mode, last, times):
    """Nobody misses them, and the script makes them again: a job in it finds no folder for them."""
    desk.env |= AUTHOR | {"TMPDIR": str(tmp_path), "ROAR_TRACER_MODE": mode}
    desk.write("data", "d\n")
    outer = script(desk, f"tmp={folder}", "trap 'rm -rf \"$tmp\"' EXIT", f'{ROAR} run -q cp data "$tmp/a"', last)
    for _ in range(1, times):
        desk.roar("run", "-q", f"@{outer['step']}")
    assert {one["path"]: one["state"] for one in desk.json("status")["outputs"]} == {"out": "fresh"}
    desk.write("data", "e\n")
    assert {one["path"]: one["state"] for one in desk.json("status")["outputs"]} == {"out": "stale"}
    hints = follow_all(desk)
    assert [hint.split()[-1] for hint in hints] == [f"@{outer['step']}"]
    assert (desk.root / "out").read_text() == "e\n"
    assert all(item["passed"] for title, item in checklist(desk).items() if title in {
        "every step ended well", "the outputs are up to date"})


def test_a_cache_of_what_came_from_temporary_files(desk, tmp_path):
    desk.env |= AUTHOR | {"TMPDIR": str(tmp_path)}
    desk.write("data", "d\n")
    outer = script(desk, "tmp=$(mktemp -d)", "trap 'rm -rf \"$tmp\"' EXIT", f'{ROAR} run -q cp data "$tmp/a"',
                   f'{ROAR} run -q cp "$tmp/a" sorted', f"[ -e cache ] || {ROAR} run -q cp sorted cache",
                   "cat cache > out")
    desk.write("data", "e\n")
    assert [hint.split()[-1] for hint in follow_all(desk)] == [f"@{outer['step']}", "@3", f"@{outer['step']}"]
    assert (desk.root / "out").read_text() == "e\n"
    assert "stale" not in desk.roar("status").stdout


SWEEP = """import glob, json, os, shutil, subprocess, sys
for lr in (1, 2):
    folder = f"t{lr}"
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(f"{folder}/score"):  # otherwise it resumes
        with open(f"{folder}/conf", "w") as file:
            json.dump(lr, file)
        subprocess.run([sys.executable, "-m", "roar", "run", "-q", "python", "trial.py", folder], check=True)
scores = {name: int(open(name).read()) for name in sorted(glob.glob("t*/score"))}
best = os.path.dirname(max(scores, key=scores.get))
for name in ("conf", "model"):
    shutil.copy(f"{best}/{name}", f"best-{name}")
"""
TRIAL = """import json, sys
folder = sys.argv[1]
x = int(open("data").read()) * json.load(open(f"{folder}/conf"))
open(f"{folder}/model", "w").write(str(x))
open(f"{folder}/score", "w").write(str(x % 5))
"""


def test_a_sweep_that_resumes_and_copies_what_is_best(desk):
    """What an earlier run of it had taken for the best had no part in what is left of that run."""
    desk.env |= AUTHOR
    desk.write("sweep.py", SWEEP)
    desk.write("trial.py", TRIAL)
    desk.write("data", "1")
    desk.init()
    desk.roar("run", "-q", "python", "sweep.py")
    assert (desk.root / "best-conf").read_text() == "2"
    desk.write("data", "8")
    hints = follow_all(desk)
    assert {hint.split()[-1] for hint in hints} == {"@1", "@2", "@3"}
    assert ((desk.root / "best-conf").read_text(), (desk.root / "best-model").read_text()) == ("1", "8")
    assert "stale" not in desk.roar("status").stdout


DRIVER = """import os, subprocess, sys
subprocess.run([sys.executable, "-m", "roar", "run", "-q", "sh", "tool"], env={**os.environ, "SEED": "4"}, check=True)
"""


@pytest.mark.parametrize("lines", [["export SEED=4", f"{ROAR} run -q sh tool"], ["python drive.py"],
                                   [f"SEED=4 {ROAR} run -q sh tool"], [f"echo 4 | {ROAR} run -q sh tool"],
                                   ["PATH=$PWD/bin:$PATH", f"{ROAR} run -q tool"],
                                   [f"{ROAR} run -q sh tool << END", "4", "END"]])
def test_a_job_that_got_its_environment_or_a_pipe_from_a_script_is_run_again_by_that(desk, lines):
    desk.env |= AUTHOR
    desk.write("data", "d\n")
    desk.write("drive.py", DRIVER)
    piped = "$(cat)" if "echo" in lines[0] or "END" in lines else "$SEED"
    desk.write("tool", f"echo {piped} | cat data - > out\n")
    desk.write("bin/tool", "#!/bin/sh\necho 4 | cat data - > out\n")
    (desk.root / "bin" / "tool").chmod(0o755)
    outer = script(desk, *lines)
    desk.write("data", "e\n")
    hints = follow_all(desk)
    assert [hint.split()[-1] for hint in hints] == [f"@{outer['step']}"]
    assert (desk.root / "out").read_text() == "e\n4\n"


@pytest.mark.parametrize("way", ["sh", "make", "python"])
def test_a_job_in_the_environment_of_its_script_is_run_again_by_itself(desk, way):
    """What a shell, make(1), or Python in the C locale sets for each command does not count."""
    desk.env |= AUTHOR
    for name in ("LANG", "LC_ALL", "LC_CTYPE"):
        desk.env.pop(name, None)
    desk.write("data", "d\n")
    desk.write("drive.sh", f"cd .; other=1; {ROAR} run -q cp data out\n")
    desk.write("Makefile", f"out: data\n\t+{ROAR} run -q cp data out\n")
    desk.write("drive.py", DRIVER.replace(', env={**os.environ, "SEED": "4"}', "").replace('"sh", "tool"',
                                                                                         '"cp", "data", "out"'))
    desk.init()
    desk.roar("run", "-q", *{"sh": ["sh", "drive.sh"], "make": ["make", "-j2"], "python": ["python", "drive.py"]}[way])
    desk.write("data", "e\n")
    assert [hint.split()[-1] for hint in follow_all(desk)] == ["@1"]


def test_no_command_for_a_job_that_its_script_has_not_run_the_last_time_and_gave_its_environment(desk):
    desk.env |= AUTHOR
    desk.write("data", "d\n")
    outer = script(desk, "export SEED=4", f"[ -e out ] || {ROAR} run -q sh -c 'echo $SEED | cat data - > out'",
                   "wc out > n")
    desk.roar("run", "-q", f"@{outer['step']}")
    desk.write("data", "e\n")
    item = checklist(desk)["the outputs are up to date"]
    assert item["hint"] is None
    assert item["problems"][-1] == ("no command mends it: @2 ran @1 with SEED set otherwise in the environment")


def test_temporary_files_of_a_script_that_is_not_recorded(desk, tmp_path):
    """Nobody knows that they are not needed any more; but the folder that the command found is made before it."""
    desk.env |= AUTHOR | {"TMPDIR": str(tmp_path)}
    desk.write("data", "d\n")
    desk.write("all.sh", f'tmp=$(mktemp -d); {ROAR} run -q cp data "$tmp/a b"; {ROAR} run -q cp "$tmp/a b" out\n'
               'rm -r "$tmp"\n')
    desk.init()
    subprocess.run(["sh", "all.sh"], cwd=desk.root, env=desk.env, check=True)
    place = next(one["path"] for one in desk.json("status")["outputs"] if one["state"] == "gone")
    desk.write("data", "e\n")
    assert follow_all(desk)[0].endswith(f"mkdir -p {os.path.dirname(place)} && roar run @1")
    assert (desk.root / "out").read_text() == "e\n"


def test_a_folder_that_a_step_makes_itself_is_not_made_for_it(desk):
    desk.env |= AUTHOR
    desk.write("data", "d\n")
    desk.init()
    (desk.root / "here").mkdir()
    desk.roar("run", "-q", "sh", "-c", "mkdir out; cp data out/a; cp data here/a")
    desk.roar("run", "-q", "cp", "out/a", "kept")
    desk.roar("run", "-q", "cp", "here/a", "there")
    for folder in ("out", "here"):
        shutil.rmtree(desk.root / folder)
    desk.write("data", "e\n")
    assert follow_all(desk)[0].endswith("mkdir -p here && roar run @1")
    assert (desk.root / "kept").read_text() == (desk.root / "there").read_text() == "e\n"


def test_a_script_that_removed_what_a_job_in_it_made_is_popped_with_its_outputs(desk, tmp_path):
    desk.env |= {"TMPDIR": str(tmp_path)}
    desk.write("data", "d\n")
    script(desk, "tmp=$(mktemp -d)", f'{ROAR} run -q cp data "$tmp/a"', 'echo x > out; rm -r "$tmp"')
    assert desk.json("pop", "--delete-outputs")["deleted"] == ["out"]


def test_what_was_printed_is_told_where_the_walk_ends(desk):
    desk.write("data", "d\n")
    script(desk, f"score=$({ROAR} run -q wc data); echo $score > table")
    said = desk.roar("lineage", "table", "--depth", "1").stdout
    assert "what was printed" in said
    assert "nothing that was observed" not in said
    assert not [edge for edge in desk.json("lineage", "table", "--depth", "1")["edges"] if edge["role"] == "printed"]


def test_what_a_script_made_before_it_ran_a_job_did_not_come_from_that(desk):
    desk.write("base", "b\n")
    desk.write("data", "d\n")
    outer = script(desk, "wc base > early", f"{ROAR} run -q --name first sh -c 'wc early > one'",
                   f"{ROAR} run -q --name second sh -c 'wc data > two'", "cat one two > late",
                   f"score=$({ROAR} run -q --name third wc data data); echo $score > table")
    uid = {name: by_name(desk, name)["uid"] for name in ("first", "second", "third")}

    def jobs(*asked):
        return {job["uid"] for job in desk.json("lineage", *asked)["jobs"]}

    assert jobs("one") == {uid["first"], outer["uid"]}
    assert jobs("late") == {uid["first"], uid["second"], uid["third"], outer["uid"]}
    inputs = desk.json("inputs", "one")["inputs"]
    assert [(one["path"], one["made_by"]) for one in inputs] == [("base", None)]
    assert jobs("data", "--down") == {uid["second"], uid["third"], outer["uid"]}
    assert jobs("base", "--down") == {uid["first"], outer["uid"]}


def test_a_script_is_forgotten_before_the_jobs_that_it_ran(desk):
    desk.write("deep.sh", f"{ROAR} run -q sh -c 'echo 1 > one'; echo 2 > two\n")
    outer = script(desk, f"{ROAR} run -q sh deep.sh", "cat two > three")
    popped = [desk.json("pop", "--delete-outputs") for _ in range(3)]
    assert popped[0]["popped"] == outer["uid"]
    assert [one["deleted"] for one in popped] == [["three"], ["two"], ["one"]]


def test_what_was_typed_in_a_shell_is_forgotten_one_by_one(desk):
    desk.roar("run", "-q", "bash", input=f"{ROAR} run -q sh -c 'echo 1 > one'; echo 2 > two\n")
    assert desk.json("pop", "--delete-outputs")["deleted"] == ["one"]


def test_what_is_typed_in_a_shell_is_no_script(desk):
    """Whoever types there knows what was read; and nobody types the same again for a hint."""
    desk.write("data", "d\n")
    desk.write("notes", "n\n")
    desk.env |= AUTHOR
    desk.init()
    desk.roar("run", "-q", "bash",
              input=f"cat notes > seen; {ROAR} run -q sh -c 'cat data data > model'\nwc model > kept\n")
    desk.write("notes", "other\n")
    assert {step["step"]: step["stale"] for step in desk.json("status")["steps"]} == {
        1: None, 2: "its input notes has changed since"}
    desk.write("data", "e\n")
    assert checklist(desk)["the outputs are up to date"]["hint"].endswith("roar run @1")


def test_a_job_that_failed_in_a_script_that_went_on_says_nothing_of_the_others(desk):
    script(desk, f"{ROAR} run -q sh -c 'echo 1 > broken; exit 1' || true", f"{ROAR} run -q sh -c 'echo 2 > good'",
           "cat broken good > all")
    assert {step["step"]: step["stale"] for step in desk.json("status")["steps"]} == {
        1: None, 2: None, 3: "@1, which it took inputs from, did not end well"}


@pytest.mark.parametrize("reads", [True, False])
def test_what_its_jobs_read_is_run_again_by_the_script_where_that_takes_from_them(desk, reads):
    desk.env |= AUTHOR
    desk.write("data", "d\n")
    outer = script(desk, f"for i in 1 2; do echo $i > cfg-$i; {ROAR} run -q sh -c 'cat data cfg-'$i' > m-'$i; done",
                   *(["cat m-1 m-2 > all"] if reads else []))
    desk.write("data", "e\n")
    stale = {step["step"]: step["stale"] for step in desk.json("status")["steps"]}
    assert stale[1] == stale[2] == "its input data has changed since"
    hint = checklist(desk)["the outputs are up to date"]["hint"]
    assert hint.endswith(f"roar run @{outer['step'] if reads else 1}")
    follow(desk, hint)
    if not reads:
        assert {step["step"]: step["stale"] for step in desk.json("status")["steps"]} == {
            1: None, 2: "its input data has changed since", 3: None}
    else:
        assert "stale" not in desk.roar("status").stdout
        assert (desk.root / "all").read_text() == "e\n1\ne\n2\n"


def test_a_script_that_failed_for_good_keeps_no_job_in_it_from_running(desk):
    desk.env |= AUTHOR
    desk.write("pipe.sh", f"{ROAR} run -q cp data model; cat model > all; exit 3")
    desk.init()
    desk.write("data", "d\n")  # git does not track it: it is no code of the script
    desk.roar("run", "-q", "sh", "pipe.sh", status=3)
    desk.write("data", "e\n")
    hint = checklist(desk)["the outputs are up to date"]["hint"]
    assert hint.endswith("roar run @1"), hint
    follow(desk, hint)
    assert (desk.root / "model").read_text() == "e\n"


@pytest.mark.parametrize("away", ["rm cfg", "true"])
def test_what_a_script_and_its_jobs_made_is_reproduced_by_the_script(desk, away):
    """It writes their settings; what only they read is put in place for it, and their code is."""
    desk.env |= AUTHOR
    desk.write("data", "d\n")
    desk.write("train.py", "import sys\nopen(sys.argv[1], 'w').write(open('data').read() + open('cfg').read())\n")
    desk.write("pipe.sh", f"""for i in 1 2; do
  echo $i > cfg
  {ROAR} run -q {sys.executable} train.py m-$i
done
{away}
cat m-1 m-2 > all
""")
    desk.init()
    (desk.root / "train.py").write_text((desk.root / "train.py").read_text() + "# edited\n")
    desk.write("beside.py", "text = open('data').read()\n")
    (desk.root / "pipe.sh").write_text((desk.root / "pipe.sh").read_text() + f"{ROAR} run -q sh sub.sh\n")
    desk.write("sub.sh", f"mkdir out; {ROAR} run -q {sys.executable} -c 'import beside; print(beside.text)' > out/x\n")
    desk.roar("run", "-q", "--name", "outer", "sh", "pipe.sh")
    desk.roar("run", "-q", "--name", "last", "cp", "m-2", "kept")
    (desk.root / "data").rename(desk.root / "elsewhere")
    desk.roar("run", "-q", "cp", "elsewhere", "data")
    (desk.root / "elsewhere").unlink()
    for wanted, names_of_jobs in (("m-1", ["outer"]), ("kept", ["outer", "last"]), ("out/x", [None])):
        plan = desk.json("reproduce", wanted)
        assert [job["name"] for job in plan["jobs"]] == names_of_jobs
        assert [len(inner) for inner in plan["within"].values()] == [4 if "outer" in names_of_jobs else 1]
        assert {root["path"] for root in plan["roots"]} == {"data"}
        assert not plan["obstacles"]
        said = desk.roar("reproduce", wanted, "--run", "--into", f"../{wanted.replace('/', '-')}-again").stdout
        assert f" {wanted}\n" in said
        assert "differs" not in said
        assert "missing" not in said
    text = desk.roar("reproduce", "kept").stdout
    assert re.search(r"^  # runs @1 \w{8}, @2 \w{8}(, @\d \w{8})* itself$", text, re.MULTILINE)
    done = json.loads(desk.roar("log", "--json", cwd=desk.root.parent / "kept-again").stdout)["jobs"]
    assert len(done) == 6  # each of them once


@pytest.mark.parametrize(("folder", "outputs"), [("new; mkdir new", 2), ("$(mktemp -d); trap 'rm -r $tmp' EXIT", 1)])
def test_a_folder_that_a_script_makes_for_its_jobs_is_left_to_it(desk, tmp_path, folder, outputs):
    desk.env |= AUTHOR | {"TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()
    desk.write("data", "d\n")
    script(desk, f"tmp={folder}", f"{ROAR} run -q cp data $tmp/a", "cat $tmp/a > out")
    said = desk.roar("reproduce", "out", "--run", "--into", "../again").stdout
    assert f"{outputs} of {outputs} output" in said
    assert "missing" not in said
    assert os.listdir(tmp_path / "temporary") == []


def test_what_a_script_made_for_its_first_jobs_did_not_come_from_later_ones(desk):
    """Asked about it, or about what these made; and what they made did not lead to that."""
    desk.write("data", "d\n")
    outer = script(desk, "echo 0 > c-1", f'for i in 1 2 3; do {ROAR} run -q --name r$i sh -c "cat c-$i data > m-$i"',
                   "cat c-$i m-$i > c-$((i + 1)); done")

    def asked(*words):
        return {job["name"] for job in desk.json("lineage", *words)["jobs"]}

    assert outer["name"] == "outer"
    assert asked("c-1") == {"outer"}
    assert asked("c-2") == {"outer", "r1"}
    assert asked("c-3") == {"outer", "r1", "r2"}
    assert asked("m-3", "--down") == {"outer"}
    assert asked("m-2", "--down") == {"outer", "r3"}


def test_a_job_of_a_script_that_ran_once_more_by_itself_is_reproduced_as_it_ran_last(desk):
    desk.env |= AUTHOR
    desk.write("data", "d\n")
    desk.write("train.py", "open('m', 'w').write(open('data').read() + open('cfg').read())\n")
    desk.write("pipe.sh", f"echo 1 > cfg; {ROAR} run -q {sys.executable} train.py; cat m > all\n")
    desk.init()
    desk.roar("run", "-q", "sh", "pipe.sh")
    desk.write("cfg", "2\n")
    desk.roar("run", "-q", "@1")
    said = desk.roar("reproduce", "@", "--run").stdout
    assert {line.split()[2]: line.split()[0] for line in said.splitlines() if line.startswith("  ")} == {
        "m": "same", "all": "same", "cfg": "same"}
    assert (desk.root.parent / "project-reproduced/m").read_text() == "d\n2\n"


TRAIN = """import sys
settings, model, *table = sys.argv[1:]
text = open("data").read() + open(settings).read()
open(model, "w").write(text)
if table:
    open(table[0], "a").write(f"{model} {text.split()[-1]}\\n")
"""


def training(desk, *lines):
    """A script of these lines, which train with settings; committed, and run once."""
    desk.env |= AUTHOR
    desk.write("data", "d\n")
    desk.write("train.py", TRAIN)
    desk.write("one", "1\n")
    desk.write("two", "2\n")
    desk.write(".gitignore", "m*\ncfg\ntable\n")
    desk.write("pipe.sh", "\n".join(lines))
    desk.init()
    desk.roar("run", "-q", "--name", "outer", "sh", "pipe.sh")


TRAIN_BY = f"{ROAR} run -q {sys.executable} train.py"


def test_a_table_that_a_script_begins_anew_is_of_its_last_jobs_alone(desk):
    """Each run has steps of its own, as the names of its settings are others."""
    training(desk, "echo model setting > table", "for i in 1 2; do", "c=$(mktemp); echo $i > $c",
             f"{TRAIN_BY} $c m$i table; rm $c", "done")
    time.sleep(0.3)
    desk.roar("run", "-q", "sh", "pipe.sh")
    assert len(desk.json("status")["steps"]) == 5
    assert "stale" not in desk.roar("status").stdout
    assert checklist(desk)["the outputs are up to date"]["passed"] is True


def test_what_a_script_made_before_it_was_edited_is_not_made_with_its_new_settings(desk):
    training(desk, f"for i in 1 2; do echo $i > cfg; {TRAIN_BY} cfg m$i; done")
    script = (desk.root / "pipe.sh").read_text()
    (desk.root / "pipe.sh").write_text(script.replace("1 2;", "1 3;"))
    desk.init()
    desk.roar("run", "-q", "sh", "pipe.sh")
    item = checklist(desk)["the outputs are up to date"]
    assert (item["hint"], item["problems"][-1]) == (
        None, "no command mends it: cfg was what @3 had put there for @2, which it ran")
    assert (desk.root / "m2").read_text() == "d\n2\n"


@pytest.mark.parametrize("change", ["cp two cfg", "sed -i s/1/2/ cfg", f"{ROAR} run -q cp two cfg"])
def test_what_a_job_of_a_script_made_and_that_replaced_is_made_again_by_it(desk, change):
    """Once the script ran nothing is stale; no job in it is run with what the script left in the end."""
    training(desk, f"{ROAR} run -q cp one cfg", f"{TRAIN_BY} cfg m1", change, f"{TRAIN_BY} cfg m2")
    assert "stale" not in desk.roar("status").stdout
    desk.write("data", "e\n")
    outer = by_name(desk, "outer")["step"]
    hint = checklist(desk)["the outputs are up to date"]["hint"]
    assert re.findall(r"roar run @(\d+)", hint) == [str(outer)]
    follow(desk, hint)
    assert [(desk.root / name).read_text() for name in ("m1", "m2")] == ["e\n1\n", "e\n2\n"]
    assert "stale" not in desk.roar("status").stdout


def test_a_job_of_a_script_made_what_that_left_again_in_the_end(desk):
    training(desk, f"{ROAR} run -q --name first cp one cfg", f"{TRAIN_BY} cfg m1", "cp two cfg",
             f"{TRAIN_BY} cfg m2", "sleep 0.3", "cp one cfg")
    assert maker(desk, "m1") == [None, "first"]
    assert {root["path"] for root in desk.json("inputs", "m1")["inputs"]} == {"data", "one"}
    assert "stale" not in desk.roar("status").stdout


def test_the_script_that_runs_a_job_again_is_committed_as_well(desk):
    desk.env |= AUTHOR
    desk.write("data", "d\n")
    desk.write(".gitignore", "table\n")
    desk.init()
    desk.write(".gitignore", "table\n*.bak\n")
    desk.write("pipe.sh", f"echo h > table; for i in 1 2; do {ROAR} run -q sh -c 'cat data >> table; : '$i; done\n")
    desk.roar("run", "-q", "sh", "pipe.sh")
    hint = checklist(desk)["the code is in a commit"]["hint"]
    assert hint.startswith("git add pipe.sh && git commit -a && mv table ")
    follow(desk, hint)
    assert checklist(desk)["the code is in a commit"]["passed"] is True
    assert (desk.root / "table").read_text() == "h\nd\nd\n"


@pytest.mark.parametrize("to", ["> $i.out", ">> all.out", "< data >> all.out"])
def test_what_jobs_of_a_script_are_redirected_to_the_script_is_not(desk, to):
    desk.env |= AUTHOR
    desk.write("data", "d\n")
    desk.write("pipe.sh", f"for i in 1 2; do echo trial $i; {ROAR} run -q cat data {to}; done\n")
    desk.init()
    desk.roar("run", "-q", "sh", "pipe.sh")
    wanted = "1.out" if "$i" in to else "all.out"
    assert desk.json("reproduce", "@")["jobs"][0]["command"] == ["sh", "pipe.sh"]
    assert re.search(r"^  sh pipe.sh$", desk.roar("reproduce", "@").stdout, re.MULTILINE)
    said = desk.roar("reproduce", "@", "--run").stdout
    assert f" {wanted}\n" in said
    assert "differs" not in said
    assert (desk.root.parent / "project-reproduced" / wanted).read_text() == (desk.root / wanted).read_text()


def test_a_table_of_which_the_script_failed_is_not_up_to_date(desk):
    desk.write("fail", "")
    desk.write("pipe.sh", "set -e\necho header > table\nfor i in 1 2; do [ $i = 1 -o ! -e fail ]\n"
                          f'{ROAR} run -q sh -c "echo $i >> table"; done')
    desk.init()
    desk.roar("run", "-q", "sh", "pipe.sh", status=1)
    assert {output["path"]: output["reason"] for output in desk.json("status")["outputs"]} == {
        "table": "@2, which it took inputs from, did not end well"}
    (desk.root / "fail").unlink()
    desk.roar("run", "-q", "@2")
    assert (desk.root / "table").read_text() == "header\n1\n2\n"
    assert "stale" not in desk.roar("status").stdout


def test_a_table_that_the_jobs_of_a_script_begin_is_made_anew_by_the_script(desk):
    desk.env |= AUTHOR
    desk.write("data", "d")
    outer = script(desk, "rm -f table",
                   f'for i in 1 2; do echo $i > cfg; {ROAR} run -q sh -c "cat cfg data >> table; : $i"; done')
    desk.write("data", "e")
    assert remade_table(desk, outer) == "1\ne2\ne"


def test_what_a_script_took_away_that_had_lain_there_is_gone(desk):
    desk.write("raw", "1\n")
    time.sleep(0.3)
    script(desk, f"{ROAR} run -q cp raw model", "rm raw")
    assert [step["stale"] for step in desk.json("status")["steps"]] == ["its input raw is gone", None]
    assert checklist(desk)["the outputs are up to date"]["hint"] is None


def test_what_a_script_gave_its_jobs_is_stale_with_the_script(desk):
    """Of the folds that it has made of the data the last one lies there yet, and only that."""
    desk.env |= AUTHOR
    desk.write("raw", "1 2")
    script(desk, "for k in 1 2; do cut -d ' ' -f $k raw > fold", f"{ROAR} run -q cp fold m$k; done", "cat m1 m2 > all")
    desk.roar("run", "-q", "cp", "m1", "n1")
    assert "stale" not in desk.roar("status").stdout
    assert {job["step"] for job in desk.json("lineage", "--down", "raw")["jobs"]} == {1, 2, 3, 4}
    desk.write("raw", "3 4")
    stale = {output["path"] for output in desk.json("status")["outputs"] if output["state"] == "stale"}
    assert stale == {"fold", "m1", "m2", "all", "n1"}
    assert {root["path"] for root in desk.json("inputs", "n1")["inputs"]} == {"raw"}
    assert [job["step"] for job in desk.json("lineage", "n1")["jobs"]] == [4, 1, 3]  # the second one began later
    for _ in range(4):
        if (hint := checklist(desk)["the outputs are up to date"]["hint"]) is not None:
            follow(desk, hint)
    assert "stale" not in desk.roar("status").stdout
    assert [(desk.root / name).read_text() for name in ("m1", "m2", "n1")] == ["3\n", "4\n", "3\n"]


def test_a_script_that_did_not_run_a_job_the_last_time_is_no_advice(desk):
    desk.env |= AUTHOR
    desk.write("raw", "1 2")
    outer = script(desk, "for k in 1 2; do cut -d ' ' -f $k raw > fold",
                   f"test -e m$k || {ROAR} run -q cp fold m$k; done")
    desk.write("raw", "3 4")
    desk.roar("run", "-q", f"@{outer['step']}")
    hint = checklist(desk)["the outputs are up to date"]["hint"]
    assert hint.endswith("roar run @2")  # what that reads lies there
    follow(desk, hint)
    assert [(desk.root / name).read_text() for name in ("m1", "m2")] == ["1\n", "4\n"]
    left = desk.roar("status", "--checklist", status=1).stdout
    assert "fold is what @3 has left there, which had run @1 before that\n" in left
    assert checklist(desk)["the outputs are up to date"]["hint"] is None


@pytest.mark.parametrize("mode", COMPLETE)
def test_folders_that_are_made_again_and_moved_on(desk, mode):
    desk.env["ROAR_TRACER_MODE"] = mode
    for number in "123":
        desk.write(f"in{number}", number)
    step = f'{ROAR} run -q --name r$i sh -c "mkdir ck; (cat in$i; echo) > ck/w"'
    job = script(desk, "for i in 1 2 3; do", step, "rm -rf ck-0; test ! -e ck-1 || mv ck-1 ck-0; mv ck ck-1", "done")
    assert contents(job["inputs"]) == [("ck/w", digest("2\n")), ("ck/w", digest("3\n"))]
    assert contents(job["outputs"]) == [("ck-0/w", digest("2\n")), ("ck-1/w", digest("3\n"))]


def test_many_files_that_each_round_makes_again_are_a_dataset_each(desk):
    made = "mkdir d; for k in $(seq 120); do echo $i-$k > d/$k; done"
    job = script(desk, "export i; for i in 1 2; do", f"{ROAR} run -q --name r$i sh -c '{made}'", "mv d d-$i", "done")
    [one, two], outputs = contents(job["inputs"]), dict(contents(job["outputs"]))
    assert (one, two) == (("d/", outputs["d-1/"]), ("d/", outputs["d-2/"]))
    for name in ("r1", "r2"):
        assert contents(by_name(desk, name)["outputs"])[0] in {one, two}


@pytest.mark.parametrize("mode", COMPLETE)
def test_what_an_inner_job_puts_into_a_folder_that_is_moved_and_moved_on(desk, mode):
    desk.env["ROAR_TRACER_MODE"] = mode
    desk.write("queue/j/cfg", "c\n")
    job = script(desk, "mkdir running done; mv queue/j running/j",
                 f"{ROAR} run -q --name inner sh -c 'tr c k < running/j/cfg > running/j/out'",
                 "mv running/j done/j")
    assert contents(job["inputs"]) == [("queue/j/cfg", digest("c\n")), ("running/j/out", digest("k\n"))]
    assert contents(job["outputs"]) == [("done/j/cfg", digest("c\n")), ("done/j/out", digest("k\n"))]
    assert maker(desk, "done/j/out") == ["outer", "inner"]


@pytest.mark.parametrize("mode", COMPLETE)
def test_what_the_script_adds_to_the_standard_output_of_an_inner_job(desk, mode):
    desk.env["ROAR_TRACER_MODE"] = mode
    desk.write("in", "4\n")
    job = script(desk, f"{ROAR} run -q --name inner cat in > out; echo more >> out")
    assert ("out", digest("4\n")) in contents(job["inputs"])
    assert contents(job["outputs"]) == [("out", digest("4\nmore\n"))]
    assert maker(desk, "out") == ["outer", "inner"]


def test_what_the_last_inner_job_leaves_in_place_does_not_make_the_others_stale(desk):
    desk.write("in", "1\n")
    script(desk, "for i in 1 2 3; do", f'{ROAR} run -q sh -c "cat in > m; echo $i >> m"',
           "test $i = 3 || mv m m-$i", "done")
    assert {output["state"] for output in desk.json("status")["outputs"]} == {"fresh"}
    desk.write("m", "other\n")
    assert {output["path"]: output["state"] for output in desk.json("status")["outputs"]} == {
        "m": "changed", "m-1": "stale", "m-2": "stale"}


@pytest.mark.parametrize("mode", COMPLETE)
@pytest.mark.parametrize("how", ["recover", "next run"])
def test_an_inner_job_that_was_killed_with_the_outer_one_keeps_what_it_made(desk, mode, how):
    desk.env["ROAR_TRACER_MODE"] = mode
    desk.write("in", "1\n")
    desk.write("pipe.sh", f"{ROAR} run --name inner sh -c 'cat in > m; echo > ready; sleep 60'\n")
    desk.init()
    run = subprocess.Popen([*desk.program, "run", "--name", "outer", "sh", "pipe.sh"], cwd=desk.root,
                           env=desk.env, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for((desk.root / "ready").exists)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    wait_for(lambda: not desk.json("recover", "--list")["running"])
    desk.roar(*(["recover"] if how == "recover" else ["run", "true"]))
    inner, outer = by_name(desk, "inner"), by_name(desk, "outer")
    assert (names(inner["inputs"]), names(inner["outputs"])) == (["in"], ["m", "ready"])
    assert "m" not in names(outer["outputs"])
    assert "in" not in names(outer["inputs"])


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("mode", MODES)
def test_a_folder_that_the_inner_job_renames_is_its_own(desk, mode):
    desk.env["ROAR_TRACER_MODE"] = mode
    for name in ("a", "b"):
        desk.write(f"raw/{name}", name)
    outer = script(desk, f"{ROAR} run -q --name inner mv raw data", "cat data/* > all")
    assert (names(outer["inputs"]), names(outer["outputs"])) == (["data/a", "data/b"], ["all"])
    inner = by_name(desk, "inner")
    assert (names(inner["inputs"]), names(inner["outputs"])) == (["raw/a", "raw/b"], ["data/a", "data/b"])
    assert desk.json("lineage", "data/a")["jobs"][0]["uid"] == inner["uid"]


@pytest.mark.parametrize("mode", MODES)
def test_what_the_inner_job_names_through_a_symlink_is_its_own(desk, mode):
    desk.env["ROAR_TRACER_MODE"] = mode
    desk.write("run1/c", "c")
    (desk.root / "latest").symlink_to("run1")
    outer = script(desk, f"{ROAR} run -q --name inner sh -c 'cat latest/c > latest/m'",
                   f"{ROAR} run -q sh -c 'cat latest/m > o'")
    assert (names(outer["inputs"]), names(outer["outputs"])) == ([], [])
    assert desk.json("lineage", "o")["jobs"][1]["uid"] == by_name(desk, "inner")["uid"]
