"""`roar run` from outside: the command untouched, the record right."""

import contextlib
import itertools
import json
import os
import re
import resource
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from blake3 import blake3

from roar.commands.changing import changed
from roar.errors import UsageError
from roar.observe.pending import start_ticks
from roar.query.jobs import load_job, load_patch
from roar.record.database import open_database


def names(uses):
    return [use["path"] for use in uses]


def test_reads_and_writes_with_digests_and_code(desk):
    desk.write("train.py", "open('model.pt', 'w').write(open('data.csv').read() * 2)\n")
    desk.write("data.csv", "1,2\n")
    desk.init()
    desk.roar("run", "python", "train.py")
    job = desk.job()
    assert job["inputs"] == [{"path": "data.csv", "digest": blake3(b"1,2\n").hexdigest(), "size": 4, "kind": "file"}]
    assert job["outputs"] == [{"path": "model.pt", "digest": blake3(b"1,2\n1,2\n").hexdigest(), "size": 8,
                               "kind": "file"}]
    assert (job["command"], job["cwd"], job["exit_code"], job["state"]) == (["python", "train.py"], ".", 0, "done")
    assert (job["git"]["commit"], job["git"]["dirty"]) == (desk.git("rev-parse", "HEAD"), False)
    assert job["tracer"]["mode"] in {"full", "seccomp", "preload"}
    assert job["python"]["version"] == ".".join(map(str, sys.version_info[:3]))


def test_needs_no_init_and_records_at_the_root_of_the_work_tree(desk):
    desk.init()
    below = desk.root / "a" / "b"
    below.mkdir(parents=True)
    desk.roar("run", "sh", "-c", "echo x > out.txt", cwd=below)
    assert (desk.root / ".roar" / ".gitignore").read_text() == "*\n"
    job = desk.job()
    assert (job["cwd"], names(job["outputs"])) == ("a/b", ["a/b/out.txt"])
    assert desk.git("status", "--porcelain") == "?? a/"


@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_the_exit_status_is_the_commands(desk, status):
    desk.roar("run", "sh", "-c", f"exit {status}", status=status)
    assert desk.job()["exit_code"] == status


def test_streams_pass_through_byte_for_byte(desk):
    code = "import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(d[::-1]); sys.stderr.buffer.write(d)"
    data = bytes(range(256)) * 400
    done = desk.roar("run", "-q", sys.executable, "-c", code, input=data, text=False)
    assert done.stdout == data[::-1]
    assert done.stderr == data


def test_roars_own_words_come_after_the_command_and_quiet_silences_them(desk):
    loud = desk.roar("run", "sh", "-c", "echo err >&2; echo x > f")
    assert loud.stderr.startswith("err\nroar: recorded @1 ")
    assert loud.stdout == ""
    assert desk.roar("run", "--quiet", "sh", "-c", "echo err >&2").stderr == "err\n"


def test_a_command_that_does_not_exist(desk):
    done = desk.roar("run", "no-such-command", status=127)
    assert done.stderr == "roar: no-such-command: command not found\n"
    assert desk.roar("run", "no-\udcff\x1b", status=127).stderr == "roar: no-\\xff\\x1b: command not found\n"
    assert desk.json("log")["jobs"] == []


@pytest.mark.parametrize(("name", "status", "reason"), [
    ("./no", 127, "No such file or directory"), ("./script", 127, "cannot execute: required file not found"),
    (".", 126, "Is a directory"), ("./loop", 126, "Too many levels of symbolic links"),
])
@pytest.mark.parametrize("mode", ["auto", "none"])
def test_why_a_path_cannot_be_run(desk, mode, name, status, reason):
    (desk.root / "script").write_text("#!/no/such/interpreter\n")
    (desk.root / "script").chmod(0o755)
    (desk.root / "loop").symlink_to("loop")
    done = desk.roar("run", name, status=status, env={"ROAR_TRACER_MODE": mode})
    assert done.stderr == f"roar: {name}: {reason}\n"


def test_a_file_that_is_not_executable(desk):
    desk.write("script", "#!/bin/sh\n")
    done = desk.roar("run", "./script", status=126)
    assert done.stderr == "roar: ./script: Permission denied\n"


@pytest.mark.parametrize(("arguments", "sentence"), [
    ([], "roar run needs a command."), (["--nmae", "x", "true"], "roar run has no option --nmae."),
    (["--label", "x", "true"], "--label takes KEY=VALUE, not 'x'."), (["--name"], "--name needs a value."),
])
def test_a_wrong_command_line(desk, arguments, sentence):
    done = desk.roar("run", *arguments, status=2)
    assert done.stderr.startswith(f"roar: {sentence}\n  try: ")
    assert not (desk.root / ".roar").exists()


def test_name_and_labels(desk):
    desk.roar("run", "--name", "first", "--label", "owner=alice", "--label=lr=0.1", "--", "true")
    job = desk.job()
    assert (job["name"], job["labels"]) == ("first", {"owner": "alice", "lr": "0.1"})


def test_a_dirty_tree_is_recorded_with_its_patch(desk):
    desk.write("a.py", "x = 1\n")
    desk.init()
    desk.write("a.py", "print(2)\n")
    desk.write("b.py", "import a\n")
    desk.roar("run", "python", "b.py")
    git = desk.job()["git"]
    assert git["dirty"]
    assert len(git["patch"]) == 64
    assert names(desk.job()["inputs"]) == [], "code is recorded with the commit and the patch"


def test_a_job_outside_any_repository_says_so(desk):
    desk.roar("run", "true")
    assert "  code     no git repository\n" in desk.roar("show").stdout
    desk.init()
    desk.roar("run", "true")
    assert "no git repository" not in desk.roar("show").stdout
    desk.roar("run", "/bin/true", env={"PATH": str(desk.root)})
    assert "  code     in a git repository, of a version that is not known\n" in desk.roar("show").stdout


def patch_of_last_job(desk):
    with contextlib.closing(open_database(desk.root / ".roar" / "roar.db")) as database:
        row = database.execute("SELECT max(id) FROM job").fetchone()[0]
        return load_patch(database, load_job(database, row))


@pytest.mark.parametrize("command", ["sed -i s/#user/#job/ a.py", "rm a.py", "git commit -qam meanwhile",
                                     "git stash -q", "echo '#job' > a.py; git commit -qam meanwhile"])
def test_what_is_uncommitted_is_what_was_so_before_the_command(desk, command):
    desk.write("a.py", "x = 1\n")
    desk.init()
    desk.git("config", "user.name", "a")
    desk.git("config", "user.email", "a@b")
    commit = desk.git("rev-parse", "HEAD")
    desk.write("a.py", "x = 1\n#user\n")
    desk.roar("run", "sh", "-c", command)
    assert desk.job()["git"]["commit"] == commit
    added = [line for line in patch_of_last_job(desk).splitlines() if line.startswith((b"+", b"-"))]
    assert added == [b"--- a/a.py", b"+++ b/a.py", b"+#user"]


def test_what_the_command_changes_in_a_clean_tree_was_not_uncommitted(desk):
    for number in range(300):
        desk.write(f"lib/{number}.py", f"x = {number}\n")
    desk.init()
    desk.roar("run", "sed", "-i", "s/^/#/", *(f"lib/{number}.py" for number in range(300)))
    assert (desk.job()["git"]["dirty"], patch_of_last_job(desk)) == (False, None)


def test_a_git_that_takes_its_time_does_not_keep_the_command_waiting(desk):
    desk.write("a.py", "x = 1\n")
    desk.write("bin/git", f'#!/bin/sh\ncase "$*" in *--binary*) while ! [ -e started ]; do sleep 0.05; done;;'
                          f" esac\nexec {shutil.which('git')} \"$@\"\n", 0o755)
    desk.init()
    desk.write("a.py", "x = 2\n")
    desk.roar("run", "touch", "started", env={"PATH": f"{desk.root}/bin:{os.environ['PATH']}"})
    assert desk.job()["git"]["dirty"]


def test_temporary_and_intermediate_files_are_neither_input_nor_output(desk):
    desk.roar("run", "sh", "-c", "echo a > tmp1; cat tmp1 > tmp2; mv tmp2 out; rm tmp1; cat out > /dev/null")
    job = desk.job()
    assert (names(job["inputs"]), names(job["outputs"])) == ([], ["out"])


def test_an_append_is_an_input_and_an_output(desk):
    desk.write("log.txt", "one\n")
    desk.python("open('log.txt', 'a').write('two\\n')")
    job = desk.job()
    assert names(job["inputs"]) == names(job["outputs"]) == ["log.txt"]
    assert job["inputs"][0]["digest"] is None
    assert "was changed by this job" in job["inputs"][0]["note"]
    assert job["outputs"][0]["digest"] == blake3(b"one\ntwo\n").hexdigest()


def test_what_the_caller_has_open_is_no_file_of_a_job_that_uses_io_uring(desk, tmp_path):
    """Its descriptors are looked at, as the opens of the ring cannot be; what it makes there is an output alone."""
    stories = os.path.join(os.path.dirname(os.path.dirname(__file__)), "native")
    subprocess.run(["gcc", "-I", stories, "-o", tmp_path / "ring", os.path.join(stories, "io_uring.c")], check=True)
    desk.write("in.txt", "x")
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(open(desk.root / name, "w+")) for name in ("given", "answer", "errors")]
        ring = desk.start("run", "-q", tmp_path / "ring", stdin=streams[0], stdout=streams[1], stderr=streams[2])
        if ring.wait(20) == 77:
            pytest.skip("io_uring is switched off here")
    job = desk.job()
    assert [name for name in names(job["inputs"]) if "/" not in name] == ["in.txt"]
    assert names(job["outputs"]) == ["out.txt"]


def test_content_that_an_earlier_job_made_is_known_even_when_it_is_gone(desk):
    desk.python("open('a', 'w').write('one')")
    made = desk.job()["outputs"][0]["digest"]
    desk.python("open('a', 'a').write('two')")
    assert desk.job()["inputs"][0]["digest"] == made == blake3(b"one").hexdigest()
    desk.python("import os; open('a').read(); os.remove('a')")
    assert desk.job()["inputs"][0]["digest"] == blake3(b"onetwo").hexdigest()


def test_outside_the_workspace_and_through_a_symlink(desk, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x").write_text("x")
    (desk.root / "link").symlink_to(tmp_path / "elsewhere")
    desk.roar("run", "cat", "link/x")
    assert names(desk.job()["inputs"]) == [str(tmp_path / "elsewhere" / "x")]


def test_odd_names(desk):
    name = b"caf\xe9 \n \xff"
    with open(os.path.join(os.fsencode(desk.root), name), "wb") as file:
        file.write(b"x")
    desk.python("import os; n = os.listdir(b'.'); open([x for x in n if b'caf' in x][0]).read()")
    assert names(desk.job()["inputs"]) == ["caf\\xe9 \n \\xff"]


def test_no_trace_in_the_commands_environment(desk):
    code = "import os, json, sys; json.dump([dict(os.environ), os.listdir('/proc/self/fd'), sys.path], open('o', 'w'))"
    subprocess.run([sys.executable, "-c", code], cwd=desk.root, env=desk.env, check=True, stdin=subprocess.DEVNULL)
    plain = json.loads((desk.root / "o").read_text())
    desk.roar("run", sys.executable, "-c", code, stdin=subprocess.DEVNULL)
    env, descriptors, path = json.loads((desk.root / "o").read_text())
    added = {k: v for k, v in env.items() if plain[0].get(k) != v}
    assert len(added) <= 2, added
    assert "LD_PRELOAD" in added or not added
    assert (len(descriptors), path) == (len(plain[1]), plain[2])


def test_static_programs_and_grandchildren_are_seen(desk):
    source = desk.write("s.c", '#include <fcntl.h>\n#include <unistd.h>\nint main(void) { int f = open("deep", '
                               'O_CREAT | O_WRONLY, 0644); return write(f, "x", 1) != 1; }\n')
    subprocess.run(["gcc", "-static", "-o", desk.root / "s", source], check=True)
    desk.roar("run", "sh", "-c", "(env -i ./s) &\nwait")
    assert names(desk.job()["outputs"]) == ["deep"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_to_roar_reaches_the_command(desk, number, status):
    run = desk.start("run", "sh", "-c", "echo before > out; echo ready; exec sleep 60", stdout=subprocess.PIPE)
    assert run.stdout.readline() == b"ready\n"
    time.sleep(0.2)
    run.send_signal(number)
    assert run.wait(20) == -number
    job = desk.job()
    assert (job["state"], job["exit_code"], names(job["outputs"])) == ("interrupted", status, ["out"])
    run.stdout.close()


def test_ctrl_c_reaches_the_command_once_and_the_job_is_recorded(desk):
    code = ("import time\n"
            "try:\n    print('ready', flush=True)\n    time.sleep(60)\n"
            "except KeyboardInterrupt:\n    open('caught', 'w').write('x')\n    raise\n")
    run = desk.start("run", sys.executable, "-c", code, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                     start_new_session=True)
    assert run.stdout.readline() == b"ready\n"
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=20)
    assert run.returncode == -signal.SIGINT, err
    job = desk.job()
    assert (job["state"], job["exit_code"], names(job["outputs"])) == ("interrupted", 130, ["caught"])


@pytest.mark.parametrize("mode", ["auto", "preload", "none"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGSEGV, signal.SIGRTMIN])
def test_roar_dies_as_the_command_does(desk, number, mode):
    """Without a core file of its own; a status above 128 stays a status."""
    roar = [sys.executable, "-m", "roar", "run", "-q", "sh", "-c"]
    for script, status in ((f"ulimit -c 0; kill -{int(number)} $$", -number), (f"exit {128 + number}", 128 + number)):
        done = subprocess.run(["bash", "-c", 'ulimit -S -c unlimited; exec "$@"', "bash", *roar, script],
                              cwd=desk.root, env={**desk.env, "ROAR_TRACER_MODE": mode}, check=False)
        assert done.returncode == status
        assert desk.job()["exit_code"] == 128 + number
    assert not list(desk.root.glob("core*"))


def test_ctrl_c_ends_a_loop_of_bash(desk):
    """It looks at whether its child died of SIGINT."""
    loop = f"for i in 1 2 3; do {sys.executable} -m roar run -q sh -c 'echo $0; exec sleep 5' $i; done; echo after"
    with subprocess.Popen(["bash", "-c", loop], cwd=desk.root, env=desk.env, stdout=subprocess.PIPE,
                          start_new_session=True) as bash:
        assert bash.stdout.readline() == b"1\n"
        os.killpg(bash.pid, signal.SIGINT)
        assert bash.stdout.read() == b""
    assert bash.returncode == -signal.SIGINT
    assert desk.job()["exit_code"] == 130


def test_a_command_that_handles_the_signal_is_done(desk):
    code = ("import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *a: sys.exit(0))\n"
            "print('ready', flush=True)\ntime.sleep(60)\n")
    run = desk.start("run", sys.executable, "-c", code, stdout=subprocess.PIPE)
    assert run.stdout.readline() == b"ready\n"
    run.terminate()
    assert run.wait(20) == 0
    assert desk.job()["state"] == "done"
    run.stdout.close()


def test_what_was_written_over_before_the_record_was_finished_is_not_taken_for_the_job_s(desk):
    """Nor for that of the one that did it."""
    for name in "ab":
        desk.write(name, name)
    desk.init()
    run = desk.start("run", "sh", "-c", "cp a out; cp a kept; sleep 1; echo > ended", stderr=subprocess.DEVNULL)
    wait_for_file(desk.root / "out")
    run.kill()
    run.wait()
    wait_for_file(desk.root / "ended")
    time.sleep(0.5)
    (desk.root / "out").write_text("b")
    desk.roar("run", "-q", "true")
    first = next(job for job in desk.json("log")["jobs"] if job["command"][0] == "sh")
    outputs = {use["path"]: (use["digest"], use.get("note")) for use in desk.job(first["uid"])["outputs"]}
    assert outputs["kept"] == (blake3(b"a").hexdigest(), None)
    assert outputs["out"] == (None, "was changed after the command had ended, and before it was recorded")


@pytest.mark.parametrize("moved", [True, False])
def test_a_workspace_that_its_command_moves_or_deletes_is_not_begun_anew(desk, moved):
    desk.write("data", "a")
    desk.roar("run", "true")
    elsewhere = desk.root.with_name("elsewhere")
    do = ["mv", os.fspath(desk.root), os.fspath(elsewhere)] if moved else ["rm", "-r", os.fspath(desk.root)]
    done = desk.roar("run", "sh", "-c", f"cp data made; {shlex.join(do)}; exit 3", status=3)
    assert " is not recorded: " in done.stderr
    assert "`roar recover` records it there" in done.stderr
    assert not desk.root.exists()
    if moved:
        elsewhere.rename(desk.root)
        desk.roar("recover")
        assert [(job["step"], job["exit_code"]) for job in desk.json("log")["jobs"]] == [(2, 3), (1, 0)]
        assert names(desk.job("@2")["inputs"]) == ["data"]


def wait_for_file(path):
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert path.exists()


def test_killing_roar_leaves_the_command_alone_and_the_next_call_finishes_the_record(desk):
    run = desk.start("run", "sh", "-c", "echo $$ > pid; sleep 2; echo late > late; echo done > finished; exit 7",
                     stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not (desk.root / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    run.kill()
    run.wait()
    desk.roar("recover")
    jobs = desk.json("log")["jobs"]
    assert [(job["state"], job["step"]) for job in jobs] == [("running", None)], "it is not finished while it runs"
    while not (desk.root / "finished").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (desk.root / "finished").exists(), "the command must go on"
    time.sleep(0.5)
    desk.roar("recover")
    job = desk.job()
    assert {"pid", "late", "finished"} <= set(names(job["outputs"]))
    assert (job["exit_code"], job["state"]) == (7, "done"), "the tracer has seen the end that roar has not"
    assert 2 <= job["duration_s"] < 4
    assert list((desk.root / ".roar" / "pending").iterdir()) == []


def test_secrets_are_nowhere_in_the_record(desk):
    secret = "hunter2hunter2hunter2"
    desk.init()
    desk.git("remote", "add", "origin", f"https://ann:{secret}@host.example/r.git")
    env = {"WANDB_API_KEY": secret, "MLFLOW_TRACKING_URI": f"http://u:{secret}@mlflow.example", "MY_PASSWORD": secret}
    desk.roar("run", "--", "sh", "-c", "echo https://x.example/?token=$WANDB_API_KEY > o; env > /dev/null; "
              "echo see https://x.example/?token=$WANDB_API_KEY", "--token", secret, f"--api-key={secret}", env=env)
    for folder, _, files in os.walk(desk.root / ".roar"):
        for name in files:
            with open(os.path.join(folder, name), "rb") as file:
                assert secret.encode() not in file.read(), name
    assert desk.job()["command"][-2:] == ["[redacted]", "--api-key=[redacted]"]
    assert desk.job()["git"]["remote"] == "https://host.example/r.git"


def test_where_nothing_can_be_written_the_command_runs_all_the_same(desk):
    desk.write(".roar", "in the way\n")
    done = desk.roar("run", "sh", "-c", "echo out; exit 4", status=4)
    assert done.stdout == "out\n"
    assert "this job was not recorded" in done.stderr


@pytest.mark.parametrize("quiet", [[], ["-q"]])
@pytest.mark.parametrize(("kind", "reason"), [
    ("loop", "is a link to {0}, which leads back to itself. Try: rm {0}"),
    ("file", "is in the way: it is a file, and should be a folder. Try: mv {0} {0}.old"),
    ("link", "is a link to {1}/mine, which is a file and should be a folder. Try: rm {0}"),
    ("away", "is a link to {1}/away, which is not there. Try: mkdir -p {1}/away"),
])
def test_whatever_stands_in_the_place_of_the_record_the_command_runs_and_that_is_told_once(desk, kind, reason, quiet):
    folder = desk.root / ".roar"
    desk.write("mine", "x")
    folder.write_text("x") if kind == "file" else folder.symlink_to({"loop": ".roar", "link": "mine"}.get(kind, kind))
    done = desk.roar("run", *quiet, "sh", "-c", "echo hi; exit 3", status=3)
    assert done.stdout == "hi\n"
    assert done.stderr == f"roar: this job was not recorded: {folder} {reason.format(folder, desk.root)}\n"
    checks = json.loads(desk.roar("doctor", "--json", status=1).stdout)["checks"]
    (check,) = (check for check in checks if check["ok"] is False)
    sentence, _, hint = reason.format(folder, desk.root).partition(" Try: ")
    assert (check["name"], check["text"], check["hint"]) == ("workspace", f"{folder} {sentence}", hint)
    for verb in ("config", "log", "trackers", "init"):
        assert desk.roar(verb, status=1).stderr == f"roar: {folder} {sentence}\n  try: {hint}\n"


@pytest.mark.parametrize(("path", "mode", "sentence", "looked_at"), [
    (".roar", 0o000, "{0}/.roar cannot be read: Permission denied.", "{0}/.roar"),
    (".roar", 0o500, "{0}/.roar/pending cannot be made: Permission denied.", "{0}/.roar"),
    (".roar/config.toml", 0o000, "{0}/.roar/config.toml cannot be read: Permission denied.", "{0}/.roar/config.toml"),
    (".", 0o500, "{0}/.roar cannot be made: Permission denied.", "{0}"),
])
def test_what_is_another_user_s_does_not_stop_the_command(desk, path, mode, sentence, looked_at):
    if path != ".":
        desk.roar("init")
        desk.write(".roar/config.toml", "")
    desk.be_anybody()
    (desk.root / path).chmod(mode)
    inner = desk.roar("run", "-q", *desk.program, "run", "-q", "sh", "-c", "cat; exit 4", input="in", status=4)
    (desk.root / path).chmod(0o755)
    line = f"roar: this job was not recorded: {sentence} Try: ls -ld {looked_at}\n".format(desk.root)
    assert (inner.stdout, inner.stderr) == ("in", line * 2)


@pytest.mark.parametrize("name", [".roar/config.toml", "pyproject.toml", "../home/.config/roar/config.toml"])
def test_settings_that_cannot_be_read_do_not_stop_the_command(desk, name):
    path = os.path.normpath(desk.root / name)
    os.makedirs(path)
    done = desk.roar("run", "sh", "-c", "echo out; exit 4", status=4)
    assert done.stdout == "out\n"
    sentence = f"{path} cannot be read: Is a directory."
    assert done.stderr == f"roar: this job was not recorded: {sentence} Try: ls -ld {path}\n"
    assert desk.roar("config", status=1).stderr == f"roar: {sentence}\n  try: ls -ld {path}\n"


_users = itertools.count(100_000 + 1000 * (os.getpid() % 10_000))


def limit_processes(desk, most):
    """From now on `roar` is somebody's who may have so many processes: the limit is no limit for root."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be a user without any process")
    user, kept = str(next(_users)), "+dac_override,+dac_read_search,+fowner"
    desk.program = ["setpriv", "--securebits=+no_setuid_fixup", "--reuid", user, "--regid", user, "--clear-groups",
                    "--inh-caps", kept, "--ambient-caps", kept, "prlimit", f"--nproc={most}:{most}", *desk.program]


@pytest.mark.parametrize("tracer", ["auto", "none", "preload", "seccomp"])
@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 6])
def test_where_processes_are_limited_the_command_runs_all_the_same(desk, most, tracer):
    limit_processes(desk, most)
    done = desk.roar("run", "sh", "-c", "echo hi; exit 3", status=3, env={"ROAR_TRACER_MODE": tracer})
    assert done.stdout == "hi\n"
    if most == 1:
        assert done.stderr == ("roar: this job was not recorded: no process can be started beside roar's own"
                               " (Resource temporarily unavailable)\n")
        assert not os.listdir(desk.root / ".roar" / "pending")
        return
    found = desk.job()["tracer"]
    if most == 2 and tracer != "none":
        reason = "nothing was observed: the tracer cannot be started (Resource temporarily unavailable)"
        assert (found["mode"], found["gaps"]) == ("none", [reason])


@pytest.mark.parametrize("most", [1, 2])
def test_a_command_that_does_not_exist_is_told_where_processes_are_limited(desk, most):
    limit_processes(desk, most)
    done = desk.roar("run", "no-such-command", status=127)
    assert done.stderr.splitlines()[-1] == "roar: no-such-command: command not found"


@pytest.mark.parametrize("tracer", ["full", "seccomp"])
def test_a_command_stops_and_goes_on_where_the_tracer_has_no_thread(desk, tracer):
    limit_processes(desk, 5)
    with desk.start("run", "sh", "-c", "kill -STOP $$; exit 4", env={"ROAR_TRACER_MODE": tracer},
                    stderr=subprocess.PIPE) as process:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=30)
    assert process.returncode == 4
    assert desk.job()["tracer"]["mode"] == tracer


@pytest.mark.parametrize("most", [5, 6, 7, 8, 9])
def test_where_open_files_are_limited_the_command_runs_all_the_same(desk, most):
    done = desk.roar("run", "sh", "-c", "echo hi; exit 3", status=3,
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)))
    assert done.stdout == "hi\n"
    if most < 7:
        assert done.stderr == ("roar: this job was not recorded: no process can be started beside roar's own"
                               " (Too many open files)\n")
    desk.roar("recover")
    assert len(desk.json("log")["jobs"]) == (most >= 7)


@pytest.mark.parametrize("tracer", ["full", "seccomp", "preload", "none"])
def test_an_entry_without_a_name_in_the_environment_is_in_nobody_s_way(desk, tracer):
    desk.init()
    desk.write("in", "1")
    desk.program = ["env", "=x", *desk.program]
    desk.roar("run", "cp", "in", "out", env={"ROAR_TRACER_MODE": tracer})
    assert (desk.root / "out").read_text() == "1"
    assert desk.job()["git"]["commit"]


def test_a_signal_reaches_a_command_that_is_not_recorded(desk):
    desk.write(".roar", "in the way")
    with desk.start("run", "sh", "-c", "trap 'echo heard; exit 5' TERM; echo ready; while :; do sleep 0.05; done",
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.communicate(timeout=30)[0] == "heard\n"
    assert process.returncode == 5


def test_the_status_is_the_command_s_even_if_roar_cannot_say_a_word(desk):
    with open("/dev/full", "w") as full:
        command = [*desk.program, "run", "sh", "-c", "exit 7"]
        assert subprocess.run(command, cwd=desk.root, env=desk.env, stderr=full, check=False).returncode == 7
    reader, writer = os.pipe()
    os.close(reader)
    assert subprocess.run(command, cwd=desk.root, env=desk.env, stderr=writer, check=False).returncode == 7
    os.close(writer)
    assert [job["exit_code"] for job in desk.json("log")["jobs"]] == [7, 7]


@pytest.mark.parametrize(("number", "state"), [
    (signal.SIGINT, "not recorded yet"), (signal.SIGTERM, "not recorded yet"), (signal.SIGHUP, "recorded"),
    (signal.SIGUSR1, "recorded"), (signal.SIGALRM, "recorded"),
])
def test_a_signal_while_the_job_is_recorded_leaves_the_status_alone(desk, number, state):
    desk.roar("run", "true")
    with contextlib.closing(sqlite3.connect(desk.root / ".roar" / "roar.db", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        run = desk.start("run", "sh", "-c", "exit 7", stderr=subprocess.PIPE, text=True)
        assert "waiting" in run.stderr.readline()
        run.send_signal(number)
        time.sleep(0.2)
    assert run.wait(20) == 7
    said = run.stderr.read()
    run.stderr.close()
    assert ("recorded @" in said) == (state == "recorded"), said
    assert ("interrupted" in said) == (state != "recorded"), said
    desk.roar("recover")
    assert desk.job()["exit_code"] == 7


@pytest.mark.parametrize("mode", ["auto", "none"])
@pytest.mark.parametrize("wait", [0, 0.03, 0.5])
def test_the_status_is_the_command_s_even_if_memory_does_not_suffice_for_the_record(desk, mode, wait):
    run = desk.start("run", "sh", "-c", "echo ready; read x; exit 5", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                     stderr=subprocess.DEVNULL, env={"ROAR_TRACER_MODE": mode})
    assert run.stdout.readline() == b"ready\n"
    time.sleep(wait)
    resource.prlimit(run.pid, resource.RLIMIT_AS, (1, 1))
    run.stdin.close()
    assert run.wait(20) == 5
    run.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_command_has_started_leaves_no_half_a_job(desk, number):
    """Either nothing has begun, or the command gets it."""
    desk.roar("run", "true")
    code = ("import os, roar.commands.run as run, roar.cli as cli\nbegin = run._begin\n"
            f"run._begin = lambda *words: (begin(*words), os.kill(os.getpid(), {int(number)}))[0]\n"
            "raise SystemExit(cli.main(['run', 'sh', '-c', 'sleep 5; echo through']))\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=desk.root, env=desk.env, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-number, b"")
    assert desk.job()["state"] == "interrupted"
    assert not list((desk.root / ".roar" / "pending").iterdir())


def test_a_rerun_from_another_folder_finds_it_in_pwd_as_after_cd(desk):
    """Programs build paths from it."""
    desk.roar("init")
    (desk.root / "notebooks").mkdir()
    desk.python("import os; open(os.environ['PWD'] + '/out', 'w').write(os.environ['PWD'])",
                env={"PWD": str(desk.root)})
    assert (desk.root / "out").read_text() == str(desk.root)
    (desk.root / "out").unlink()
    desk.roar("run", "@1", cwd=desk.root / "notebooks", env={"PWD": str(desk.root / "notebooks")})
    assert (desk.root / "out").read_text() == str(desk.root)
    link = desk.tmp / "link"
    link.symlink_to(desk.root)
    desk.roar("run", "@1", env={"PWD": str(link)})
    assert (desk.root / "out").read_text() == str(link), "it stays as the shell has it where the folder does"
    env = {key: value for key, value in desk.env.items() if key != "PWD"}
    done = subprocess.run([*desk.program, "run", "@1"], cwd=desk.root / "notebooks", env=env, capture_output=True,
                          check=False, text=True)
    assert "KeyError: 'PWD'" in done.stderr


def test_a_rerun_in_a_folder_that_is_gone(desk):
    desk.roar("init")
    (desk.root / "sub").mkdir()
    desk.roar("run", "true", cwd=desk.root / "sub")
    shutil.rmtree(desk.root / "sub")
    done = desk.roar("run", "@1", status=1)
    assert done.stderr.startswith(f"roar: The folder of @1, {desk.root}/sub, cannot be entered: No such file")


def test_even_a_quiet_run_tells_that_its_job_is_not_recorded(desk):
    desk.roar("run", "-q", "true")
    database = desk.root / ".roar" / "roar.db"
    database.write_bytes(b"nonsense" * 1000)
    done = desk.roar("run", "-q", "sh", "-c", "exit 3", status=3)
    assert re.fullmatch(r"roar: job [0-9a-f]{8} is not recorded yet \(.*\); `roar recover` tries again\n", done.stderr)


def test_in_a_folder_that_is_gone_the_command_runs_all_the_same(desk):
    done = desk.roar("run", "sh", "-c", "echo out; exit 4", status=4, preexec_fn=lambda: leave(desk.root / "gone"))
    assert done.stdout == "out\n"
    assert "this job was not recorded" in done.stderr


def leave(folder):
    folder.mkdir()
    os.chdir(folder)
    folder.rmdir()


@pytest.mark.parametrize("stream", [0, 1, 2])
def test_a_closed_stream_stays_closed(desk, stream):
    code = (f"import os\ntry:\n    os.fstat({stream})\nexcept OSError:\n    open('closed', 'w').close()\n"
            "open('o', 'w').write('x')")
    desk.python(code, preexec_fn=lambda: os.close(stream))
    assert names(desk.job()["outputs"]) == ["closed", "o"]


def test_when_recording_fails_the_evidence_stays_until_it_succeeds(desk):
    desk.roar("run", "true")
    database = desk.root / ".roar" / "roar.db"
    shutil.copy(database, desk.root / "good.db")
    database.write_bytes(b"this is no database, and long enough to be sure of that" * 100)
    done = desk.roar("run", "sh", "-c", "echo x > kept; exit 5", status=5)
    assert "is not recorded yet" in done.stderr
    assert "roar recover" in done.stderr
    for side in ("-wal", "-shm"):
        (desk.root / ".roar" / f"roar.db{side}").unlink(missing_ok=True)
    shutil.move(desk.root / "good.db", database)
    desk.roar("recover")
    job = desk.job()
    assert (job["exit_code"], names(job["outputs"])) == (5, ["kept"])


def test_observing_nothing_is_said_and_recorded(desk):
    done = desk.roar("run", "sh", "-c", "echo x > o", env={"ROAR_TRACER_MODE": "none"})
    assert "no file could be observed" in done.stderr
    job = desk.job()
    assert job["tracer"]["mode"] == "none"
    assert job["tracer"]["gaps"]


WHOLE = "every file event of the whole process tree"
NO_LIBRARY = "programs that do not load the preload library"


@pytest.mark.parametrize(("mode", "words", "gaps"), [
    ("full", f"full tracing: {WHOLE}; nothing missed", []),
    ("seccomp", f"seccomp tracing: {WHOLE}, by the kernel's filter alone; nothing missed", []),
    ("preload", f"preload tracing: what programs do through libc's own functions; may have missed: {NO_LIBRARY}",
     [NO_LIBRARY]),
])
def test_the_mode_is_shown_in_words_and_gaps_are_in_the_record(desk, mode, words, gaps):
    desk.roar("run", "cat", "/dev/null", env={"ROAR_TRACER_MODE": mode})
    assert desk.job()["tracer"] == {"mode": mode, "gaps": gaps}
    shown = " ".join(desk.roar("show", "@-1").stdout.split())
    assert f"seen by {words}" in shown


def test_a_mode_that_cannot_be_had_gives_way_and_the_record_says_why(desk):
    """Inside a traced command the kernel takes no second listener."""
    roar = f"{sys.executable} -m roar"
    desk.roar("run", "-q", "sh", "-c", f"{roar} run -q true; {roar} show @1 --json > seen.json")
    job = json.loads((desk.root / "seen.json").read_text())
    assert (job["command"], job["tracer"]["mode"]) == (["true"], "preload")
    reason = "another program already listens to the system calls made here"
    assert {f"full: {reason}", f"seccomp: {reason}"} < set(job["tracer"]["gaps"])
    assert desk.job(job["uid"])["tracer"]["gaps"] == []  # as the command around it has seen
    done = desk.roar("run", "-q", sys.executable, "-m", "roar", "doctor")
    assert f"tracer mode full: {reason[0].upper()}{reason[1:]}.\n" in done.stdout
    assert "tracer mode preload: works\n" in done.stdout
    assert "tracer: preload mode will be used\n" in done.stdout


def test_a_broken_setting_stops_before_anything_starts(desk):
    desk.write(".roar/config.toml", "[tracer]\nmood = 'full'\n")
    done = desk.roar("run", "sh", "-c", "echo x > o", status=1)
    assert "config.toml:2: there is no setting 'tracer.mood'" in done.stderr
    assert not (desk.root / "o").exists()


def test_two_jobs_at_once_are_both_recorded(desk):
    desk.roar("run", "true")
    runs = [desk.start("run", "-q", "sh", "-c", f"echo {n} > out{n}") for n in range(4)]
    assert [run.wait(60) for run in runs] == [0] * 4
    outputs = {name for job in desk.json("log")["jobs"] for name in names(job["outputs"])}
    assert outputs == {f"out{n}" for n in range(4)}


def test_a_rerun_is_the_same_step_and_a_change_is_a_new_one(desk):
    desk.write("data", "x")
    desk.roar("run", "cat", "data")
    desk.roar("run", "true")
    desk.roar("run", "cat", "data")
    assert [job["step"] for job in desk.json("log")["jobs"]] == [1, 2, 1]


def test_a_daemon_left_behind_does_not_hold_roar(desk):
    began = time.monotonic()
    daemon = "setsid sh -c 'sleep 6; cat /dev/null > late' >/dev/null 2>&1 </dev/null &"
    desk.roar("run", "sh", "-c", f"({daemon}); exit 3", status=3)
    assert time.monotonic() - began < 5
    deadline = time.monotonic() + 20
    while not (desk.root / "late").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert (desk.root / "late").exists(), "the daemon's calls must go on working"
    assert desk.job()["tracer"]["gaps"] == ["a process outlived the command"]


def test_a_background_process_that_ends_with_the_command_is_part_of_it(desk):
    for _ in range(5):  # it has 50 ms, in which a busy machine may not get to it
        desk.roar("run", "sh", "-c", "(sleep 0.01; echo x > soon) &")
        if not desk.job()["tracer"]["gaps"]:
            break
    assert (desk.job()["tracer"]["gaps"], names(desk.job()["outputs"])) == ([], ["soon"])


def test_control_characters_of_names_do_not_reach_the_terminal(desk):
    done = desk.roar("run", "touch", "\033]0;title\007\033[2Jx\ny")
    assert "\033" not in done.stderr
    assert "title" in done.stderr


def test_nothing_of_ours_is_importable(desk):
    bare = subprocess.run([sys.executable, "-I", "-S", "-c", "import roar"], capture_output=True, check=False)
    assert b"ModuleNotFoundError" in bare.stderr
    done = desk.roar("run", "-q", sys.executable, "-I", "-S", "-c", "import sys; print([m for m in sys.modules if "
                     "m.startswith(('roar', 'glaas', 'sitecustomize'))])")
    assert done.stdout == "[]\n"


def test_secrets_are_not_even_in_the_evidence_while_the_command_runs(desk):
    secret = "hunter2hunter2hunter2"
    script = (f"echo 'see https://ann:{secret}@x.example/?write_token={secret}&a=1'; "
              f"sh -c : --token {secret} --api_key={secret} https://u:{secret}@h/; echo ready; sleep 60")
    run = desk.start("run", "sh", "-c", script, env={"MLFLOW_TRACKING_URI": f"http://u:{secret}@mlflow.example"},
                     stdout=subprocess.PIPE)
    while run.stdout.readline() != b"ready\n":
        pass
    time.sleep(0.5)
    files = [path for path in (desk.root / ".roar").rglob("*") if path.is_file()]
    found = [path.name for path in files if secret.encode() in path.read_bytes()]
    log = next(path for path in files if path.name == "events.log").read_bytes()
    run.terminate()
    run.wait(20)
    run.stdout.close()
    assert found == []
    assert b"x.example" in log, "the line itself must have been seen"


def test_a_sweep_that_prints_thousands_of_links_keeps_them_all(desk):
    desk.write("mlflow/__init__.py", "")
    code = ("import mlflow\nfor i in range(2000):\n    print(f'🏃 View run r{i} at: http://127.0.0.1:5/#/experiments/1/runs/{i:032x}')\n"
            "    print('epoch', i)")
    desk.python(code, env={"PYTHONUTF8": "1"})
    assert len(desk.job()["tracker_runs"]) == 2000


def test_files_are_found_by_their_bytes_whatever_the_locale(desk):
    """Python takes file names for ASCII here, as it takes them for Latin-1 in de_DE.ISO-8859-1."""
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    script = r"""for name in 'm\303\251.pt' 'x\360\237\230\200.pt' 'l\351.pt'; do
        printf %s "$1" > "$(printf "$name")"; done"""
    desk.roar("run", "--name", "tête", "sh", "-c", script, "sh", "é", env=locale)
    assert [use["path"] for use in desk.job()["outputs"]] == ["l\\xe9.pt", "mé.pt", "x😀.pt"]
    assert desk.job()["command"][-1] == "é"
    assert (desk.root / "mé.pt").read_text() == "é"
    status = desk.roar("status", env=locale).stdout
    assert "3 outputs up to date" in status
    assert r"m\xe9.pt" in desk.roar("show", env=locale).stdout
    assert desk.job()["name"] == "tête"


@pytest.mark.parametrize("given", [{}, {"LANG": "C"}, {"LC_CTYPE": "POSIX"}, {"LC_CTYPE": "C.UTF-8"}])
@pytest.mark.parametrize("mode", ["auto", "none"])
def test_the_locale_is_the_command_s(desk, mode, given):
    """Python changes that of its own process, and its children's, where it is C."""
    env = {name: value for name, value in desk.env.items() if name != "LANG" and not name.startswith("LC_")} | given
    script = ["sh", "-c", "env | grep -E '^(LC_|LANG)' | sort; printf '\\303\\251' | wc -m"]
    plain = subprocess.run(script, env=env, capture_output=True, check=True).stdout
    roar = [sys.executable, "-m", "roar", "run", "-q", *script]
    env["ROAR_TRACER_MODE"] = mode
    assert subprocess.run(roar, cwd=desk.root, env=env, capture_output=True, check=True).stdout == plain


def test_a_job_is_not_stale_by_what_it_deleted_itself(desk):
    desk.roar("run", "sh", "-c", "mkdir data; for i in $(seq 120); do echo $i > data/$i; done; echo x > list")
    desk.roar("run", "sh", "-c", "cat data/* list | wc -l > count; rm data/1 data/2; mv data/3 kept; rm list")
    desk.roar("run", "sh", "-c", "cat count > report")
    assert {step["step"]: step["stale"] for step in desk.json("status")["steps"]} == {1: None, 2: None, 3: None}
    (desk.root / "data" / "4").unlink()
    stale = {step["step"]: step["stale"] for step in desk.json("status")["steps"]}
    assert stale[2] == "its input data/ has changed since: data/4 is gone"


def test_who_waits_for_a_record_that_another_process_has_locked_is_told(desk):
    desk.roar("run", "true")
    path = desk.root / ".roar" / "roar.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = desk.start("run", "true", stderr=subprocess.PIPE, text=True)
        quiet = desk.start("run", "-q", "true", stderr=subprocess.PIPE, text=True)
        assert waiting.stderr.readline() == f"roar: waiting for {path}, which another process has locked\n"
        other.execute("COMMIT")
    assert waiting.communicate(timeout=30)[1].startswith("roar: recorded @1 ")
    assert (quiet.communicate(timeout=30)[1], waiting.returncode, quiet.returncode) == ("", 0, 0)
    assert len(desk.json("log")["jobs"]) == 3


def test_what_is_told_of_a_record_that_breaks_meanwhile_is_one_sentence(desk):
    desk.roar("run", "true")
    done = desk.roar("run", "sh", "-c", "echo this is no database, which is long enough > .roar/roar.db")
    assert "is broken: file is not a database); `roar recover` tries again" in done.stderr


def test_one_file_that_was_left_out_is_one(desk):
    done = desk.roar("run", "true")
    assert not re.search(r"\b1 (packages|libraries|settings)\b", done.stderr)


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
def test_no_folder_changes_while_the_command_reads_the_workspace(desk, mode):
    """tar(1) fails where one does: the facts about the code come a moment after the start."""
    desk.write("a.py", "x = 1\n")
    desk.init()
    desk.write("a.py", "x = 2\n")
    look = "find .roar -type d | sort | xargs stat -c '%n %y'"
    done = desk.roar("run", "-q", "sh", "-c", f"{look}; sleep 0.7; echo; {look}", env={"ROAR_TRACER_MODE": mode})
    before, after = done.stdout.split("\n\n")
    assert before.strip() == after.strip()
    assert desk.job()["git"]["patch"]


def test_a_job_that_copies_its_workspace_is_no_job_of_the_copy(desk):
    desk.write("in", "1")
    desk.roar("run", "sh", "-c", "cp -a . ../copy; cat in > out")
    copy = desk.root.parent / "copy"
    assert list((copy / ".roar" / "pending").iterdir())
    assert json.loads(desk.roar("log", "--json", cwd=copy).stdout)["jobs"] == []
    desk.roar("run", "cat", "in", cwd=copy)
    jobs = json.loads(desk.roar("log", "--json", cwd=copy).stdout)["jobs"]
    assert [job["command"] for job in jobs] == [["cat", "in"]]
    assert [job["state"] for job in desk.json("log")["jobs"]] == ["done"]


def test_a_zombie_runs_nothing():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        assert start_ticks(pid) == 0
        assert start_ticks(os.getpid()) > 0
    finally:
        os.waitpid(pid, 0)


@pytest.mark.parametrize("mode", ["full", "seccomp"])
def test_outputs_that_others_move_away_while_the_job_runs_are_missed(desk, mode):
    code = ("import os, time\nfor name in ('out/a', 'out/b', 'c', 't'): open(name, 'w').write('x')\n"
            "os.unlink('t')\nwhile not os.path.exists('go'): time.sleep(0.01)")
    (desk.root / "out").mkdir()
    process = desk.start("run", "-q", sys.executable, "-c", code, env={"ROAR_TRACER_MODE": mode})
    while not (desk.root / "c").exists():
        time.sleep(0.01)
    time.sleep(0.2)
    (desk.root / "out").rename(desk.root / "elsewhere")
    desk.write("go", "")
    assert process.wait(30) == 0
    job = desk.job()
    assert job["tracer"]["gaps"] == ["2 written files gone by the end, not by what was seen"]
    assert [use["path"] for use in job["outputs"]] == ["c"]
    assert "gone by the end" in desk.roar("show", "@1").stdout


def test_outputs_that_others_take_away_one_by_one_are_missed(desk):
    """As an uploader of finished checkpoints does; what the job itself removes is not, by whatever name it does."""
    desk.write("sub/.keep", "")
    (desk.root / "link").symlink_to("sub")
    code = ("import os, time\nfor name in ('a', 'b', 'link/t', 'sub/u'): open(name, 'w').write('x')\n"
            "os.unlink('sub/t'); os.unlink('link/u')\nopen('begun', 'w')\n"
            "while not os.path.exists('go'): time.sleep(0.01)")
    process = desk.start("run", "-q", sys.executable, "-c", code)
    while not (desk.root / "begun").exists():
        time.sleep(0.01)
    (desk.root / "a").rename(desk.root / "uploaded")
    (desk.root / "b").unlink()
    desk.write("go", "")
    assert process.wait(30) == 0
    assert desk.job()["tracer"]["gaps"] == ["2 written files gone by the end, not by what was seen"]


@pytest.mark.parametrize("mode", ["full", "seccomp", "preload"])
def test_the_duration_is_the_commands_and_not_gits(desk, tmp_path, mode):
    desk.write("a", "1")
    desk.init()
    desk.write("a", "2")
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(f"#!/bin/sh\ncase \"$*\" in *--binary*) sleep 4;; esac\nexec {shutil.which('git')} \"$@\"\n")
    slow.chmod(0o755)
    environment = {"PATH": f"{slow.parent}:{desk.env['PATH']}", "ROAR_TRACER_MODE": mode}
    began = time.monotonic()
    desk.roar("run", "sh", "-c", "sleep 0.1; cat a > b", env=environment)
    assert time.monotonic() - began > 4  # the patch is waited for
    job = desk.job()
    assert 0.1 <= job["duration_s"] < 3
    assert job["git"]["patch"]


def test_a_step_that_runs_again_keeps_its_name(desk):
    desk.roar("run", "--name", "baseline", "sh", "-c", "echo $0 > out", "--lr", "1")
    for words, name in (([], "baseline"), (["--lr", "2"], None)):
        desk.roar("run", "@1", *words)
        assert desk.job()["name"] == name
    desk.roar("run", "--name", "other", "@1")
    assert desk.job()["name"] == "other"
    for value in ("-1", "-0.5", "-1e-5"):
        desk.roar("run", "@1", "--lr", value)
        assert desk.job()["command"][-2:] == ["--lr", value]
        assert len(desk.job()["command"]) == 5
    desk.roar("run", "@1", "--", "--lr", "3")
    assert desk.job()["command"][-2:] == ["--lr", "3"]
    assert len(desk.job()["command"]) == 5


def test_a_switch_that_gets_a_value_takes_no_other_option_s_place(desk):
    desk.roar("run", "echo", "--verbose", "--n=-1", "--lr", "-1")
    desk.roar("run", "@1", "--verbose", "3", "--lr", "2")
    assert desk.job()["command"] == ["echo", "--verbose", "3", "--n=-1", "--lr", "2"]


@pytest.mark.parametrize(("words", "given", "expected"), [
    (["--lr", "1", "--lr", "2"], ["--lr", "7"], ["--lr", "1", "--lr", "7"]),
    (["--lr=1", "--lr", "2"], ["--lr=7"], ["--lr=1", "--lr", "7"]),
    (["lr=1", "lr=2"], ["lr=7"], ["lr=1", "lr=7"]),
    (["--d", "a", "--d", "b"], ["--d", "x", "--d", "y"], ["--d", "x", "--d", "y"]),
    (["--d", "a"], ["--d", "x", "--d", "y"], ["--d", "x", "--d", "y"]),
    (["--n", "-1"], ["-1"], ["--n", "-1", "-1"]), (["--off", "-3"], ["--off", "-inf"], ["--off", "-inf"]),
    (["a"], ["a"], ["a", "a"]), (["--v"], ["--v"], ["--v"]), (["--v"], ["--v", "3"], ["--v", "3"]),
    (["--x=1"], ["--x", "2"], ["--x=2"]), (["--x", "--y"], ["--x", "2"], ["--x", "2", "--y"]),
    (["--lr", "1"], ["model=big"], ["--lr", "1", "model=big"]),
    (["--lr", "1"], ["--", "w"], ["--lr", "1", "--", "w"]),
    (["--n", "64", "64", "32"], ["--n", "8", "8"], ["--n", "8", "8"]),
    (["--n", "64", "64", "32", "--lr", "1"], ["--n", "8", "8"], ["--n", "8", "8", "--lr", "1"]),
    (["--n", "64", "64", "--lr", "1"], ["--n", "8"], ["--n", "8", "--lr", "1"]),
    (["--n", "64", "--lr", "1"], ["--n", "8", "-8", "--lr", "2"], ["--n", "8", "-8", "--lr", "2"]),
    (["--n", "1", "2", "3", "in"], ["--n", "4", "5"], ["--n", "4", "5", "in"]),
    (["--n=64", "--lr", "1"], ["--n", "8", "8"], ["--n", "8", "8", "--lr", "1"]),
    (["--f", "a", "--lr", "1"], ["--f", "b", "c"], ["--f", "b", "c", "--lr", "1"]),
    (["--lr", "1", "in", "out"], ["--lr", "2"], ["--lr", "2", "in", "out"]),
    (["--lr", "1", "--b", "2"], ["--lr", "3", "more"], ["--lr", "3", "--b", "2", "more"]),
    (["--c", "name", "lr=1", "b=2"], ["--c", "other", "lr=3"], ["--c", "other", "lr=3", "b=2"]),
    (["--c", "a.yaml", "t.py", "1"], ["--c", "b.yaml"], ["--c", "b.yaml", "t.py", "1"]),
    (["--c", "a.yaml", "in", "out"], ["--c=b.yaml"], ["--c", "b.yaml", "in", "out"]),
    (["-P", "a=1", "-P", "b=2", "in"], ["-P", "a=3"], ["-P", "a=3", "-P", "b=2", "in"]),
    (["-P", "a=1", "-P", "b=2", "in"], ["-P", "c=3", "-P", "b=4", "out"],
     ["-P", "a=1", "-P", "b=4", "-P", "c=3", "in", "out"]),
    (["-P", "a=1", "-P", "a=2"], ["-P", "a=3"], ["-P", "a=1", "-P", "a=3"]),
    (["-P", "a=1"], ["-P", "a=2", "-P", "a=3"], ["-P", "a=2", "-P", "a=3"]),
    (["--set=m.lr=1", "--set=d.n=2", "--", "in"], ["--set=m.lr=5"], ["--set=m.lr=5", "--set=d.n=2", "--", "in"]),
    (["--set=m.lr=1", "--set=d.n=2"], ["--set", "m.lr=5", "--set", "x[0]=5"],
     ["--set=m.lr=5", "--set=d.n=2", "--set", "x[0]=5"]),
    (["-e", "A=1", "-e", "B"], ["-e", "A"], ["-e", "A", "-e", "B"]),
    (["-e", "A=1", "-e", "B=2"], ["-e", "B="], ["-e", "A=1", "-e", "B="]),
    (["--config", "a=1", "b=2", "--cores", "4"], ["--config", "b=3"], ["--config", "a=1", "b=3", "--cores", "4"]),
    (["--config", "a=1", "b=2"], ["--config", "b=3", "a=5"], ["--config", "a=5", "b=3"]),
    (["--d", "x.csv"], ["--d", "day=2.csv"], ["--d", "day=2.csv"]), (["to=a=1"], ["to=b=2"], ["to=b=2"]),
    (["--d", "day=1"], ["--d", "x"], ["--d", "x"])])
def test_options_that_are_replaced_and_added(words, given, expected):
    assert changed(["p", *words], given) == ["p", *expected]


@pytest.mark.parametrize(("command", "expected"), [
    ("python t.py --lr 1 -- x y", "python t.py --lr 1 --new b -- x y"),
    ("python -m pkg -- x", "python -m pkg --new b -- x"), ("./fit -- data", "./fit --new b -- data"),
    ("python -c code -- x", "python -c code --new b -- x"), ("python t.py --", "python t.py --new b --"),
    ("torchrun --nproc 2 train.py -- x", "torchrun --nproc 2 train.py --new b -- x"),
    ("git log -- src/t.py", "git log --new b -- src/t.py"), ("git -c a=b log -- x", "git -c a=b log --new b -- x"),
    ("bash train.sh -- x", "bash train.sh --new b -- x"), ("uv run t.py -- x", "uv run t.py --new b -- x"),
    ("sh -c text -- x", "sh -c text -- x --new b"), ("bash -o pipefail -euc text -- x", None),
    ("env A=1 sh -c text -- x", None), ("sh -c text -- x -- y", "sh -c text -- x --new b -- y"),
    ("sh -c text name -- x", "sh -c text name --new b -- x"),
    ("uv run -- python t.py x", None), ("nice -n 5 -- ./fit x", None), ("cargo run -- --lr 1", None),
    ("python -- t.py x", None), ("uv run -- python t.py -- x", "uv run -- python t.py --new b -- x"),
    ("nice -- env -- ./fit -- x", "nice -- env -- ./fit --new b -- x")])
def test_a_new_option_goes_in_front_of_the_command_s_own_end_of_options(command, expected):
    assert " ".join(changed(command.split(), ["--new", "b"])) == (expected or f"{command} --new b")
    assert " ".join(changed(command.split(), ["more"])) == f"{command} more"


@pytest.mark.parametrize("command", ["python launch.py -- t.py x", "python -m launch -- python t.py", "./wrap -- t.py",
                                     "blender -P t.py -- --lr 1", "./wrap -- bash x"])
def test_a_new_option_is_refused_where_nobody_can_tell_on_which_side_of_the_end_of_options(command):
    with pytest.raises(UsageError, match=r"^What follows -- in the command of @3 ") as caught:
        changed(command.split(), ["--new", "b"], "@3")
    assert caught.value.hint == "roar show @3"
    assert changed(command.split(), ["z=1"]) == [*command.split(), "z=1"]


def test_behind_the_end_of_our_options_a_step_is_a_command(desk):
    desk.roar("run", "true")
    program = desk.write("bin/@1", "#!/bin/sh\necho ran $*\n", mode=0o755)
    path = {"PATH": f"{program.parent}:{desk.env['PATH']}"}
    assert desk.roar("run", "--", "@1", "x", env=path).stdout == "ran x\n"
    assert desk.job()["command"] == ["@1", "x"]
    assert desk.roar("run", "@2", "y", env=path).stdout == "ran x y\n"
    assert "@7: command not found" in desk.roar("run", "--", "@7", status=127).stderr


@pytest.mark.parametrize(("words", "given", "hint"), [
    (["--f", "a", "b"], ["--f", "c"], "roar run @3 --f=c"),
    (["--f", "a", "b", "--lr", "1"], ["--f", "c"], "roar run @3 --f=c"),
    (["--seed", "1", "10"], ["--seed", "2"], "roar run @3 --seed=2"),
    (["--f", "a", "b", "--lr", "1"], ["--f", "c", "d e"], "roar show @3"),
    (["--config", "a=1", "b=2"], ["--config", "c=3"], "roar show @3")])
def test_what_may_be_a_value_or_an_argument_is_not_replaced(words, given, hint):
    with pytest.raises(UsageError) as caught:
        changed(["p", *words], given, "@3")
    assert caught.value.message.startswith(f"What follows {words[0]} in the command of @3 ({words[1]} {words[2]}) may")
    assert caught.value.hint == hint


def test_an_option_without_the_value_that_it_has_changes_nothing(desk):
    desk.roar("run", "echo", "--lr", "1", "--amp", "--reg=x")
    said = desk.roar("run", "@1", "--lr", status=2).stderr
    assert said == ("roar: --lr of @1 has a value already, and none is given: nothing would change.\n"
                    "  try: roar run @1 --lr VALUE\n")
    assert desk.roar("run", "@1", "--amp").stdout == "--lr 1 --amp --reg=x\n"
    assert desk.roar("run", "@1", "--reg").stdout == "--lr 1 --amp --reg\n"


def test_an_option_with_several_values_is_changed_as_a_whole(desk):
    desk.roar("run", "echo", "--layers", "64", "64", "32", "--lr", "1")
    assert desk.roar("run", "@1", "--layers", "128", "128").stdout == "--layers 128 128 --lr 1\n"
    desk.roar("run", "echo", "--config", "a", "in")
    done = desk.roar("run", "@-1", "--config", "b", status=2)
    assert done.stdout == ""
    assert done.stderr.endswith("  try: roar run @-1 --config=b\n")
    assert desk.roar("run", "@-1", "--config=b").stdout == "--config b in\n"


def test_what_a_command_names_is_not_opened_to_see_what_it_is(desk):
    """A pipe with a name would wait for its other end."""
    os.mkfifo(desk.root / "p")
    desk.roar("run", "sh", "-c", "echo x > p & cat p", timeout=20)
    desk.roar("run", "sh", "-c", f"echo 1 > p & {sys.executable} p", timeout=20)
    assert [job["exit_code"] for job in desk.json("log")["jobs"]] == [0, 0]


def test_where_not_a_byte_may_be_written_the_command_runs(desk):
    desk.roar("init")
    script = f"ulimit -f 0; {sys.executable} -m roar run echo hi | cat; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=desk.root, env=desk.env, check=False, capture_output=True,
                          text=True)
    assert (done.returncode, done.stdout) == (0, "hi\n")
    assert "this job was not recorded" in done.stderr
