"""`roar run CMD < FILE > FILE`: what the shell opened for the command is what it read and wrote."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from blake3 import blake3

READ, WRITTEN = "read as standard input", "written as standard output"
APPENDED = f"{WRITTEN}, at the end"
modes = pytest.mark.parametrize("mode", ["full", "seccomp", "preload", "none"])


def shell(desk, script, status=0, **more):
    """A script in which `roar` stands for the real one."""
    done = subprocess.run(["bash", "-c", script], cwd=more.pop("cwd", desk.root), env=desk.env, check=False,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=120, **more)
    assert done.returncode == status, (script, done.stdout, done.stderr)
    return done


def uses(job):
    return ([(use["path"], use.get("note")) for use in job["inputs"]],
            [(use["path"], use.get("note")) for use in job["outputs"]])


@modes
def test_what_is_redirected_is_read_and_written(desk, mode):
    desk.env["ROAR_TRACER_MODE"] = mode
    desk.write("in.csv", "b\na\n")
    shell(desk, "roar run sort < in.csv > out.csv")
    job = desk.job()
    assert job["tracer"]["mode"] == mode
    assert job["inputs"] == [{"path": "in.csv", "digest": blake3(b"b\na\n").hexdigest(), "size": 4, "kind": "file",
                              "note": READ}]
    assert job["outputs"] == [{"path": "out.csv", "digest": blake3(b"a\nb\n").hexdigest(), "size": 4, "kind": "file",
                               "note": WRITTEN}]
    assert (desk.root / "out.csv").read_text() == "a\nb\n"
    assert f"in.csv  — {READ}" in desk.roar("show").stdout


def test_an_append_reads_what_stood_there(desk):
    shell(desk, "roar run echo 1 >> log.csv; roar run echo 2 >> log.csv")
    first, second = desk.job("@1"), desk.job("@2")
    assert uses(first) == ([], [("log.csv", APPENDED)])
    assert uses(second) == ([("log.csv", None)], [("log.csv", APPENDED)])
    assert second["inputs"][0]["digest"] == first["outputs"][0]["digest"] == blake3(b"1\n").hexdigest()
    assert (desk.root / "log.csv").read_text() == "1\n2\n"


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
def test_what_is_open_at_other_descriptors_is_read_and_written(desk, mode):
    desk.env["ROAR_TRACER_MODE"] = mode
    desk.write("in.csv", "a\n")
    shell(desk, "roar run sh -c 'cat in.csv >&5' 5> five.csv")
    assert uses(desk.job()) == ([("in.csv", None)], [("five.csv", None)])
    shell(desk, "roar run sh -c 'cat <&5 > six.csv' 5< in.csv")
    assert uses(desk.job()) == ([("in.csv", None)], [("six.csv", None)])
    shell(desk, "roar run sh -c 'cat six.csv >&7' 6< in.csv 7>> five.csv")
    assert uses(desk.job()) == ([("five.csv", None), ("six.csv", None)], [("five.csv", "written by appending")])


@pytest.mark.parametrize("script", ["(flock 9; roar run echo 1) 9> lock",
                                    "exec 7> log; echo begun >&7; roar run sh -c 'echo 1 >&7'",
                                    "roar run sh -c 'echo 1 >&3' 3>&2 2> log", "roar run echo 1 8< in.csv"])
def test_locks_and_logs_at_other_descriptors_are_no_data(desk, script):
    desk.write("in.csv", "a\n")
    shell(desk, script)
    assert uses(desk.job()) == ([], [])


@pytest.mark.parametrize("script", ["{ echo begun; roar run echo 1; echo ended; } > log",
                                    "bash script > log 2> errors", "bash script >> log",
                                    "echo before > log; roar init; (echo 1; roar run echo 2) > log"])
def test_the_log_of_a_script_is_nothing_that_its_jobs_hand_on(desk, script):
    """Each of them would have read what the jobs before it said."""
    desk.write("script", "echo begun\nroar run echo 1\nroar run echo 2\nroar run cat\n")
    shell(desk, script)
    jobs = desk.json("log")["jobs"]
    assert jobs
    assert all(uses(desk.job(job["uid"])) == ([], []) for job in jobs)


def test_a_rerun_leaves_the_log_of_a_script_as_it_is(desk):
    desk.write("script", "roar run echo 1\nroar run echo 2\n")
    shell(desk, "bash script > log")
    assert uses(desk.job("@1")) == ([], [("log", APPENDED)])
    desk.roar("run", "@1")
    assert (desk.root / "log").read_text() == "1\n2\n1\n"


def test_behind_a_program_that_waits_for_roar(desk):
    desk.write("in", "1\n")
    for program in ("timeout 60", "timeout 60 flock lock timeout 60"):
        shell(desk, f"{program} roar run cat < in > out")
        assert uses(desk.job()) == ([("in", READ)], [("out", WRITTEN)])
        desk.write("in", "2\n")
        desk.roar("run", "-q", "@1")
        assert (desk.root / "out").read_text() == "2\n"
    desk.write("script", "timeout 60 roar run cat in\ntrue\n")
    shell(desk, "bash script > log")
    assert uses(desk.job())[1] == [("log", APPENDED)]


def test_a_file_that_a_program_opened_for_appending_and_went_to_its_end(desk):
    with open(desk.root / "log", "a") as log:
        log.write("1\n")
    with open(desk.root / "log", "a") as log:
        assert log.tell() == 2
        subprocess.run([*desk.program, "run", "echo", "2"], cwd=desk.root, env=desk.env, check=True, stdout=log,
                       stderr=subprocess.DEVNULL)
    assert [path for path, _ in uses(desk.job())[0]] == ["log"]
    assert uses(desk.job())[1] == [("log", APPENDED)]


@pytest.mark.parametrize(("command", "read"), [("echo $x", []), ("head -n 1", [("list", READ)])])
def test_the_list_of_a_loop_is_an_input_only_of_a_command_that_reads_it(desk, command, read):
    desk.write("list", "1\n2\n3\n4\n")
    done = shell(desk, f"while read x; do roar run -q {command}; done < list")
    assert done.stdout.split()[0] == (b"2" if read else b"1"), "the command is undisturbed"
    assert uses(desk.job()) == (read, [])


def test_what_was_redirected_but_not_used(desk):
    desk.write("in.csv", "1\n")
    shell(desk, "roar run true < in.csv > out.csv")
    assert uses(desk.job()) == ([], [])


@pytest.mark.parametrize("script", [
    "roar run echo 1 > log 2>&1",
    "roar run echo 1 &> log",
    "roar run echo 1 >> log 2>> log",
    "roar run echo 1 > /dev/null",
    "roar run cat < /dev/null | cat",
    "echo 1 | roar run cat | cat",
    "roar run cat <<EOF\n1\nEOF",
    "roar run cat <<< 1",
    "roar run echo 1 <&-",
    "roar run sh -c ':' <&- >&- 2>&-",
    "exec 3> gone; rm gone; roar run echo 1 >&3",
    "exec 3< data; rm data; roar run cat <&3",
    "exec 3< data; rm data; echo 2 > data; roar run cat <&3",
    "roar run cat 0> log < /dev/null",
    "roar run sh -c 'echo 1 >&2' 2> log",
])
def test_what_is_no_data(desk, script):
    desk.write("data", "1\n")
    shell(desk, script)
    assert uses(desk.job()) == ([], [])


def test_nohup(desk):
    desk.write("in", "1\n")
    shell(desk, "nohup roar run cat < in > out 2> err")
    assert uses(desk.job()) == ([("in", READ)], [("out", WRITTEN)])


def test_a_file_that_is_written_over_in_part(desk):
    desk.write("data", "abc")
    shell(desk, "roar run printf x 1<> data")
    job = desk.job()
    assert uses(job)[1] == [("data", WRITTEN)]
    assert (job["inputs"][0]["path"], job["inputs"][0]["digest"]) == ("data", None)
    assert (desk.root / "data").read_text() == "xbc"


def test_files_outside_of_the_workspace(desk, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "in").write_text("1")
    desk.roar("init")
    shell(desk, f"roar run cat < {outside}/in > {outside}/out")
    assert uses(desk.job()) == ([(f"{outside}/in", READ)], [(f"{outside}/out", WRITTEN)])


def test_the_rules_for_files_count(desk):
    desk.write("in", "1")
    shell(desk, "ln -s in link; mkdir -p .git/x; roar run cat < link > .git/x/out")
    assert uses(desk.job()) == ([("in", READ)], [])


def test_names_that_are_not_utf_8(desk):
    shell(desk, "printf 1 > $'in\\xff'; roar run cat < $'in\\xff' > $'out\\xff'")
    assert uses(desk.job()) == ([("in\\xff", READ)], [("out\\xff", WRITTEN)])


def test_code_that_is_read_as_data(desk):
    """What a rerun needs as its standard input is among the inputs."""
    desk.write("code.py", "print(1)")
    desk.init()
    shell(desk, "roar run python - < code.py > out")
    assert uses(desk.job()) == ([("code.py", READ)], [("out", WRITTEN)])


@pytest.mark.parametrize(("reader", "others"), [("cat a -", ""), ("cat b c -", "bc"), ("cat a b c -", "bc")])
def test_an_input_among_others_that_are_only_read(desk, reader, others):
    for name in "abc":
        desk.write(f"in/{name}", name)
    desk.roar("init")
    shell(desk, f"cd in; roar run {reader} < a")
    assert uses(desk.job()) == ([("in/a", READ), *((f"in/{name}", None) for name in others)], [])


@pytest.mark.parametrize("again", [1, 2])
def test_an_input_among_the_files_of_a_dataset(desk, again):
    for number in range(120):
        desk.write(f"in/{number}", f"{number}")
    time.sleep(0.05)
    for _ in range(again):
        desk.python("import glob; [open(f).read() for f in glob.glob('in/*')]")
        shell(desk, "roar run cat - in/* < in/7")
    plain, redirected = desk.job("@1")["inputs"], desk.job("@2")["inputs"]
    assert [(use["path"], use["files"], use["digest"]) for use in redirected] == [("in/", 120, plain[0]["digest"])]
    assert redirected[0]["note"] == f"7: {READ}"


def test_an_output_among_many(desk):
    shell(desk, "mkdir out; roar run sh -c 'for i in $(seq 120); do echo $i > out/$i; done; echo x' > out/log")
    (use,) = desk.job()["outputs"]
    assert (use["path"], use["files"], use["note"]) == ("out/", 121, f"log: {WRITTEN}")
    (desk.root / "out" / "log").unlink()
    desk.roar("run", "-q", "@1")
    assert (desk.root / "out" / "log").read_text() == "x\n"
    assert len(desk.json("log")["jobs"]) == 2
    assert desk.job()["step"] == 1


def test_a_file_that_the_command_replaces_itself(desk):
    shell(desk, "roar run sh -c 'echo old; echo new > new; mv new out' > out")
    job = desk.job()
    assert (uses(job)[1][0][0], job["outputs"][0]["digest"]) == ("out", blake3(b"new\n").hexdigest())


def test_an_output_that_the_command_deletes(desk):
    shell(desk, "roar run sh -c 'echo 1; rm out' > out")
    assert uses(desk.job()) == ([], [])


def test_an_input_that_the_command_changes(desk):
    desk.write("in", "1\n")
    shell(desk, "roar run sh -c 'cat; echo 2 > in' < in")
    job = desk.job()
    assert [use["path"] for use in job["inputs"]] == [use["path"] for use in job["outputs"]] == ["in"]


def test_a_chain_of_two(desk):
    desk.write("x", "b\na\n")
    shell(desk, "roar run sort < x > y; roar run tac < y > z")
    said = desk.roar("lineage", "z").stdout
    assert "sort" in said
    assert "tac" in said
    assert [job["command"] for job in desk.json("reproduce", "z")["jobs"]] == [["sort"], ["tac"]]


def test_the_same_command_for_each_of_some_files_is_a_step_for_each(desk):
    shell(desk, "for i in 1 2; do echo $i > in$i; roar run cat < in$i > out$i; done; roar run cat < in1 > out1")
    jobs = desk.json("log")["jobs"]
    assert sorted(job["step"] for job in jobs) == [1, 1, 2]
    assert uses(desk.job("@2")) == ([("in2", READ)], [("out2", WRITTEN)])


def test_recovered(desk):
    """Where the end of the command was not seen, what a file holds shows that it was written."""
    desk.write("in", "1\n")
    with open(desk.root / "in") as stdin, open(desk.root / "out", "w") as stdout:
        run = desk.start("run", "sh", "-c", "cat; touch begun; sleep 1; echo 2", stdin=stdin, stdout=stdout,
                         stderr=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while not (desk.root / "begun").exists() and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.2)
    run.send_signal(signal.SIGKILL)
    run.wait()
    while not desk.json("recover")["recovered"] and time.monotonic() < until:
        time.sleep(0.2)
    job = desk.job()
    assert uses(job) == ([], [("begun", None), ("out", WRITTEN)])
    assert job["outputs"][1]["digest"] == blake3(b"1\n2\n").hexdigest()


def test_a_secret_in_a_name_is_not_exported(desk):
    secret = "ghp_" + "a1B2c3D4e5" * 3 + "a1B2c3"
    desk.init()
    shell(desk, f"roar run echo 1 > 'out?token={secret}'")
    assert [note for _, note in uses(desk.job())[1]] == [WRITTEN]
    said = desk.roar("export", "@1", "--format", "prov").stdout
    assert "out?token=[redacted]" in said
    assert secret not in said


def test_a_rerun_is_redirected_alike(desk):
    desk.write("in", "b\na\n")
    (desk.root / "below").mkdir()
    desk.roar("init")
    shell(desk, "roar run sort < ../in > out", cwd=desk.root / "below")
    desk.write("in", "d\nc\n")
    desk.roar("run", "@1")
    assert (desk.root / "below" / "out").read_text() == "c\nd\n"
    jobs = desk.json("log")["jobs"]
    assert [job["step"] for job in jobs] == [1, 1]
    assert uses(desk.job()) == ([("in", READ)], [("below/out", WRITTEN)])
    desk.roar("run", "@1", "-r")
    assert (desk.root / "below" / "out").read_text() == "d\nc\n"


def test_a_rerun_appends_as_the_first_run_did(desk):
    shell(desk, "roar run echo 1 >> log; roar run echo 2 >> log; roar run @1; cat log")
    assert (desk.root / "log").read_text() == "1\n2\n1\n"


def test_a_rerun_that_is_redirected_elsewhere(desk):
    desk.write("in", "1\n")
    desk.write("other", "2\n")
    shell(desk, "roar run cat < in > out; roar run @1 < other > elsewhere")
    assert (desk.root / "out").read_text() == "1\n"
    assert (desk.root / "elsewhere").read_text() == "2\n"
    assert uses(desk.job()) == ([("other", READ)], [("elsewhere", WRITTEN)])


@pytest.mark.parametrize("script", [
    "bash script > log", "sh script > log 2>&1", "sh script >> log", "./script > log",
    "exec > log; roar run -q @1; exec > /dev/null", "timeout 60 sh script > log",
    "sh inner > log", "make > log", "exec 12>&2; sh script > log; bash script >> log"])
def test_a_rerun_in_a_script_that_goes_to_a_file_is_redirected_alike(desk, script):
    desk.write("in", "b\na\n")
    desk.write("script", "#!/bin/sh\nroar run -q @1\ntrue\n", mode=0o755)
    desk.write("inner", "timeout 60 roar run -q @1\ntrue\n")
    desk.write("Makefile", "all:\n\t@roar run -q @1; true\n")
    shell(desk, f"roar run -q sort < in > out; rm out; {script}")
    assert (desk.root / "out").read_text() == "a\nb\n"
    assert (desk.root / "log").read_text() == ""
    assert {job["step"] for job in desk.json("log")["jobs"]} == {1}


@pytest.mark.parametrize("script", [
    "roar run -q @1 > new", "timeout 60 roar run -q @1 > new", "roar run -q @1 >> new", "sh script > log",
    "timeout 60 env A=1 nice roar run -q @1 > new", "{ roar run -q @1; } > new", "sh -c '{ roar run -q @1; } > new'",
    "sh -c 'roar run -q @1 > new; true' > log"])
def test_a_rerun_that_is_redirected_itself_goes_there(desk, script):
    desk.write("in", "b\na\n")
    desk.write("script", "roar run -q @1 > new\ntrue\n")
    shell(desk, f"roar run -q sort < in > out; echo kept > out; {script}")
    assert ((desk.root / "new").read_text(), (desk.root / "out").read_text()) == ("a\nb\n", "kept\n")


def test_a_rerun_in_a_script_with_another_input_leaves_the_recorded_output(desk):
    desk.write("in", "b\na\n")
    desk.write("script", "roar run -q @1 < other\ntrue\n")
    desk.write("other", "2\n1\n")
    shell(desk, "roar run -q sort < in > out; for shell in sh bash; do $shell script >> log; done")
    assert ((desk.root / "log").read_text(), (desk.root / "out").read_text()) == ("1\n2\n1\n2\n", "a\nb\n")


def test_a_rerun_in_a_script_goes_on_in_its_log(desk):
    desk.write("script", "roar run -q @1\nroar run -q @1\n")
    shell(desk, "roar run -q echo 1 >> log; sh script >> log; sh script > log")
    assert (desk.root / "log").read_text() == "1\n1\n"


def test_a_rerun_without_its_input_runs_nothing(desk):
    desk.write("in", "1\n")
    shell(desk, "roar run sh -c 'cat; echo > ran' < in > out; rm in ran")
    done = desk.roar("run", "@1", status=1)
    assert f"The standard input, {desk.root}/in, cannot be opened: No such file or directory." in done.stderr
    assert not (desk.root / "ran").exists()
    assert (desk.root / "out").read_text() == "1\n"


def test_an_older_roar_s_evidence_is_recorded(desk):
    desk.roar("init")
    run = desk.start("run", sys.executable, "-c", "open('made', 'w').close(); import time; time.sleep(1)",
                     stderr=subprocess.DEVNULL)
    while not (desk.root / "made").exists():
        time.sleep(0.02)
    time.sleep(0.3)
    run.kill()
    run.wait()
    (folder,) = (desk.root / ".roar" / "pending").iterdir()
    text = (folder / "job.json").read_text()
    older = text.replace(', "streams": []', "")
    assert older != text
    (folder / "job.json").write_text(older)
    until = time.monotonic() + 20
    while not desk.json("recover")["recovered"] and time.monotonic() < until:
        time.sleep(0.2)
    assert "made" in {path for path, _ in uses(desk.job())[1]}


def test_the_offsets_stay(desk):
    """The command finds its descriptors where the shell left them, and so does who comes after it."""
    desk.write("in", "1\n2\n3\n")
    done = shell(desk, "{ read x; roar run -q cat; echo end; } < in > out; cat out")
    assert done.stdout == b"2\n3\nend\n"
    assert os.path.getsize(desk.root / "out") == 8


UNNAMED = "what came by a pipe or a here-document as standard input"
BESIDE = "what came by a pipe or a here-document at descriptor"
BY_FIFO = "what came by a named pipe"


@pytest.mark.parametrize(("script", "gaps"), [
    ("echo 'open(\"o\", \"w\")' | roar run python -", [UNNAMED]),
    ("roar run cat << END\nx\nEND", [UNNAMED]),
    ("head -c 300000 /dev/zero | roar run cat > /dev/null", [UNNAMED]),
    ("head -c 30 /dev/zero | roar run head -c 2", [UNNAMED]),
    ("exec 3<> unnamed; rm unnamed; echo x >&3; exec < /proc/self/fd/3; roar run cat", [UNNAMED]),
    ("echo x | roar run echo y", []),
    ("sleep 3 | roar run echo y", []),
    ("echo x | sleep 3 | roar run echo y", []),
    ("mkfifo p; true > p & sleep 0.2 < p; roar run echo y", []),
    ("printf 'a\\nb\\n' | while read x; do roar run echo $x; done", []),
    ("echo x > f; roar run cat < f", []),
    ("roar run cat < /dev/null", []),
    ("roar run cat <(echo x)", [f"{BESIDE} 63"]),
    ("roar run cat <(sleep 1; echo x)", [f"{BESIDE} 63"]),
    ("roar run paste <(echo x) <(echo y)", [f"{BESIDE} 62 and 63"]),
    ("echo x | roar run paste - <(echo y)", [UNNAMED, f"{BESIDE} 63"]),
    ("roar run sh -c 'cat <&3' 3< <(echo x)", [f"{BESIDE} 3"]),
    ("roar run cat /dev/fd/3 3<< END\nx\nEND", [f"{BESIDE} 3"]),
    ("roar run echo y 3< <(echo x)", []),
    ("echo x | roar run cat 3<&0", [UNNAMED]),
    ("roar run tee >(cat > f) < /dev/null", []),
    ("roar run bash -c 'cat <(echo x)'", []),
    ("roar run bash -c 'cat < <(echo x)'", []),
])
def test_what_comes_by_a_pipe_is_missed(desk, script, gaps):
    shell(desk, script)
    assert desk.job()["tracer"]["gaps"] == gaps


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
@pytest.mark.parametrize(("script", "gaps"), [
    ("mkfifo p; echo x > p & roar run cat p", [BY_FIFO]),
    ("mkfifo p; echo x > p & roar run sh -c 'cat < p; rm p'", [BY_FIFO]),
    ("mkfifo p; ln -s p q; echo x > p & roar run cat q", [BY_FIFO]),
    ("echo x > f; (until [ -p p ]; do sleep .1; done; cat f > p) & roar run sh -c 'mkfifo p; cat f p'", [BY_FIFO]),
    ("mkfifo p; roar run sh -c 'echo x > p & cat p'", []),
    ("mkfifo p; roar run sh -c 'echo x >> p & cat p; rm p'", []),
    ("mkfifo p; ln -s p q; roar run sh -c 'echo x > p & cat q'", []),
    ("mkfifo p; roar run bash -c 'exec 3<> p; echo x >&3; head -n 1 p'", []),
    ("mkfifo p; cat p & roar run sh -c 'echo x > p'", []),
])
def test_what_comes_by_a_named_pipe_is_missed_where_nobody_of_the_job_has_put_it_there(desk, script, gaps, mode):
    desk.env["ROAR_TRACER_MODE"] = mode
    shell(desk, script)
    job = desk.job()
    assert [gap for gap in job["tracer"]["gaps"] if gap.startswith("what")] == gaps
    assert {use["path"] for use in (*job["inputs"], *job["outputs"])} <= {"f"}


def test_what_an_inner_job_puts_into_a_named_pipe_is_missed_by_the_one_around_it(desk):
    """Which has read it, but not what it came from."""
    desk.write("in", "x\n")
    desk.write("p.sh", "mkfifo p\nroar run -q sh -c 'cat in > p' &\ncat p > out\nwait\n")
    shell(desk, "roar run -q bash p.sh")
    assert [BY_FIFO in desk.job(ref)["tracer"]["gaps"] for ref in ("@1", "@2")] == [False, True]


def test_the_tokens_of_make_are_no_data(desk):
    """They go round by a pipe of which each command has both ends."""
    ends = os.pipe()
    os.write(ends[1], b"++")
    take = f"import os; os.read({ends[0]}, 1)"
    assert desk.start("run", "-q", sys.executable, "-c", take, pass_fds=ends).wait(60) == 0
    assert os.read(ends[0], 2) == b"+"
    for end in ends:
        os.close(end)
    assert desk.job()["tracer"]["gaps"] == []


def test_what_came_at_another_descriptor_has_to_be_given_again(desk):
    desk.init()
    desk.write("a", "1\n")
    shell(desk, "roar run -q paste <(cat a) <(cat a) > out")
    refused = desk.roar("run", "@1", status=2).stderr
    assert "read what came by a pipe or a here-document at descriptor 62 and 63" in refused
    assert "roar run @1 62< FILE 63< FILE" in refused
    shell(desk, "roar run -q @1 62< a 63< a")
    assert uses(desk.job())[0] == [("a", None)]
    items = json.loads(desk.roar("status", "--checklist", "--json", status=1).stdout)["checklist"]
    assert all(item["passed"] for item in items if item["title"] == "every job was observed without gaps")


@pytest.mark.parametrize(("script", "gap"), [("roar run -q cat <(cat a) > out", f"{BESIDE} 63"),
                                             ("mkfifo p; cat a > p & roar run -q cat p > out", BY_FIFO)])
def test_no_command_brings_again_what_came_by_a_pipe_beside_standard_input(desk, script, gap):
    desk.init()
    desk.write("a", "1\n")
    shell(desk, script)
    items = json.loads(desk.roar("status", "--checklist", "--json", status=1).stdout)["checklist"]
    [item] = [item for item in items if item["title"] == "every job was observed without gaps"]
    assert (item["passed"], item["hint"]) == (False, None)
    assert item["problems"][-1] == f"no command mends it: @1 read {gap}, which is not in the record"
    assert gap in desk.roar("reproduce", "out").stdout


def test_the_checklist_says_what_to_do_about_a_pipe(desk):
    desk.init()
    shell(desk, "echo 'open(\"o\", \"w\")' | roar run python -")
    items = json.loads(desk.roar("status", "--checklist", "--json", status=1).stdout)["checklist"]
    [item] = [item for item in items if item["title"] == "every job was observed without gaps"]
    assert (item["passed"], item["hint"]) == (False, "roar run python - < FILE")
    assert UNNAMED in desk.roar("reproduce", "o").stdout


@pytest.mark.parametrize(("program", "gaps"), [("cat", [UNNAMED]), ("true", [])])
def test_a_socket_as_standard_input(desk, program, gaps):
    """As child processes of Node have it."""
    ours, theirs = socket.socketpair()
    process = desk.start("run", "-q", program, stdin=theirs)
    theirs.close()
    ours.sendall(b"data" if gaps else b"")
    if gaps:
        ours.shutdown(socket.SHUT_WR)
    assert process.wait(30) == 0
    ours.close()
    assert desk.job()["tracer"]["gaps"] == gaps


@pytest.mark.skipif(shutil.which("dash") is None, reason="dash is not here")
@pytest.mark.parametrize(("script", "before", "notes"), [
    ("roar run -q echo 1 > out", None, [WRITTEN]), ("roar run -q echo 1 > out", "0\n", [WRITTEN]),
    ("roar run -q echo 1 >> out", "0\n", [APPENDED]), ("{ echo 0; roar run -q echo 1; } > out", None, [])])
def test_what_dash_redirects_for_one_command(desk, script, before, notes):
    """It does so before it makes the command's process."""
    desk.init()
    if before is not None:
        desk.write("out", before)
    desk.write("p.sh", f"{script}\ntrue\n")
    shell(desk, "dash p.sh")
    assert [note for _, note in uses(desk.job())[1]] == notes
    whole = (desk.root / "out").read_text()
    if notes == [WRITTEN]:
        desk.roar("run", "-q", "@1")
        assert (desk.root / "out").read_text() == whole == "1\n"


@pytest.mark.parametrize(("program", "first"), [("bash", APPENDED), pytest.param("dash", WRITTEN, marks=(
    pytest.mark.skipif(shutil.which("dash") is None, reason="dash is not here")))])
@pytest.mark.parametrize("script", ["for x in a b; do roar run -q cat $x; done > out",
                                    "{ roar run -q cat a; roar run -q cat b; } > out"])
def test_jobs_whose_loop_is_redirected_wrote_the_file_one_after_the_other(desk, script, program, first):
    desk.init()
    desk.write("a", "1\n")
    desk.write("b", "2\n")
    desk.write("p.sh", f"{script}\ntrue\n")
    shell(desk, f"{program} p.sh")
    assert uses(desk.job("@1")) == ([("a", None)], [("out", first)])
    assert uses(desk.job("@2")) == ([("b", None), ("out", None)], [("out", APPENDED)])
    assert desk.json("status")["outputs"][0]["state"] == "fresh"
    assert {one["path"] for one in desk.json("inputs", "out")["inputs"]} == {"a", "b"}
    desk.write("a", "3\n")
    assert desk.json("status")["outputs"][0]["state"] == "stale"


@pytest.mark.parametrize("script", ["for x in a b; do echo $x; roar run -q cat $x; done > out",
                                    "{ roar run -q cat a; echo between; roar run -q cat b; } > out",
                                    "{ echo head; roar run -q cat a; } > out; roar run -q cat b"])
def test_jobs_in_a_log_that_the_shell_writes_as_well(desk, script):
    """What it said between is nothing that the job before has made, nor the next one read."""
    desk.init()
    desk.write("a", "1\n")
    desk.write("b", "2\n")
    desk.write("p.sh", f"{script}\ntrue\n")
    shell(desk, "bash p.sh")
    assert uses(desk.job("@2")) == ([("b", None)], [])


@pytest.mark.skipif(shutil.which("dash") is None, reason="dash is not here")
@pytest.mark.parametrize(("script", "notes", "again"), [
    ("for x in 1 2; do echo $x; done > out; roar run -q echo 3 >> out", [APPENDED], "1\n2\n3\n3\n"),
    ("roar run -q awk '{ print $1 }' in > out", [WRITTEN], "1\n"),
    ("if true; then echo 0; fi > out; roar run -q echo 1 > out # when done, all is in > out", [WRITTEN], "1\n")])
def test_no_text_of_a_script_makes_a_redirection_another_one(desk, script, notes, again):
    desk.init()
    desk.write("in", "1\n")
    desk.write("p.sh", f"{script}\ntrue\n")
    shell(desk, "dash p.sh")
    assert [note for _, note in uses(desk.job())[1]] == notes
    desk.roar("run", "-q", "@1")
    assert (desk.root / "out").read_text() == again
