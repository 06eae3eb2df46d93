"""The command `roar` itself: help, errors, exit statuses, pipes."""

import json
import os
import signal
import subprocess
import sys

import pytest

from roar import __version__
from roar.commands import VERBS

ALL = [verb for group in VERBS.values() for verb in group]


def test_version_and_help(desk):
    assert desk.roar("--version").stdout == f"roar {__version__}\n"
    text = desk.roar("--help").stdout
    assert desk.roar().stdout == text
    for verb in ALL:
        assert f"\n  {verb} " in text


@pytest.mark.parametrize("verb", ALL)
def test_every_verb_explains_itself(desk, verb):
    assert f"roar {verb}" in desk.roar(verb, "--help").stdout
    assert desk.roar("help", verb).stdout == desk.roar(verb, "--help").stdout


def test_an_unknown_verb_gets_candidates(desk):
    done = desk.roar("statsu", status=2)
    assert done.stderr == "roar: roar has no verb 'statsu'. Did you mean status?\n  try: roar status --help\n"
    assert done.stdout == ""
    desk.roar("--frobnicate", status=2)


def test_a_wrong_option_is_a_usage_error(desk):
    done = desk.roar("log", "--frobnicate", status=2)
    assert done.stderr == "roar: Unrecognized arguments: --frobnicate.\n  try: roar log --help\n"


def test_a_workspace_without_a_record(desk):
    done = desk.roar("log", status=1)
    assert done.stderr == f"roar: Nothing has been recorded in {desk.root} yet.\n  try: roar run COMMAND\n"


def test_candidates_are_listed(desk):
    desk.roar("run", "true")
    done = desk.roar("show", "nosuchthing", status=1)
    assert done.stderr.startswith("roar: The record knows no job, artifact or path 'nosuchthing'.\n")
    assert "\n  try: roar log\n" in done.stderr


def test_what_cannot_be_printed_of_a_word_is_written_out(desk):
    desk.roar("run", "true")
    for words in (["log", "--tracker"], ["show"], ["label"], ["log", "--limit"], ["diff", "@1"], []):
        for odd in (b"a\xff", b"a\x1b[31m", b"a\nb"):
            said = desk.roar(*words, os.fsdecode(odd), status=None).stderr
            assert "\\udc" not in said, words
            assert "\x1b" not in said
            assert all(line.startswith(("roar: ", "  ")) for line in said.splitlines()), (words, said)
    assert desk.roar("log", "--tracker", os.fsdecode(b"\xff"), status=1).stderr.startswith(
        "roar: There is no tracker '\\xff'.\n")
    assert "'\\\\udcff'" in desk.roar("show", "\\udcff", status=1).stderr, "typed so"


def test_a_hint_can_be_pasted_into_a_shell_whatever_the_path(desk):
    name = os.fsdecode(b"-it's\n\xff.txt")
    desk.write("x", "x")
    desk.roar("run", "true")
    (desk.root / name).write_text("x")
    hint = desk.roar("show", f"./{name}", status=1).stderr.splitlines()[-1].removeprefix("  try: ")
    done = subprocess.run(["bash", "-c", f"set -- {hint}; printf '%s' \"$3\""], capture_output=True, check=True)
    assert done.stdout == os.fsencode(f"./{name}")


def test_a_broken_settings_file_is_named_with_line_and_key(desk):
    desk.roar("init")
    (desk.root / ".roar" / "config.toml").write_text("[glaas]\nurl = 3\n")
    done = desk.roar("config", status=1)
    assert done.stderr == f"roar: {desk.root}/.roar/config.toml:2: glaas.url must be text, not 3.\n"


def test_a_broken_record_is_named(desk):
    desk.roar("init")
    database = desk.root / ".roar" / "roar.db"
    database.write_bytes(b"nonsense" * 1000)
    for name in ("roar.db-wal", "roar.db-shm"):
        (desk.root / ".roar" / name).unlink(missing_ok=True)
    done = desk.roar("log", status=1)
    assert done.stderr.startswith(f"roar: {database} is broken: ")


def test_a_record_damaged_in_the_middle_is_named(desk):
    desk.roar("run", "true")
    database = desk.root / ".roar" / "roar.db"
    content = bytearray(database.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    database.write_bytes(content)
    done = desk.roar("show", status=1)
    assert done.stderr.startswith(f"roar: {database} is broken: ")
    assert "Traceback" not in done.stderr
    checked = desk.roar("doctor", status=1)
    assert "wrong record" in checked.stdout


def test_a_mistake_of_ours_keeps_its_traceback(desk):
    code = ("import sqlite3, roar.cli\ndef broken(arguments): sqlite3.connect(':memory:').execute('SELECT ?')\n"
            "roar.cli._dispatch = broken\nroar.cli.main([])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Traceback" in done.stderr
    assert "ProgrammingError" in done.stderr


def test_a_closed_pipe_is_quiet(desk):
    desk.roar("init")
    for number in range(3):
        desk.roar("run", "sh", "-c", f"echo {number} > f{number}")
    with desk.start("log", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert errors == b""
    assert process.returncode == 141


def test_a_terminal_without_utf_8(desk):
    desk.roar("run", "sh", "-c", "echo > 'naïve→'")
    env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    assert "na\\xefve\\u2192" in desk.roar("show", env=env).stdout
    for verb in (["show"], ["log"]):
        assert json.loads(desk.roar(*verb, "--json", env=env).stdout) == desk.json(*verb)
    desk.roar("dag", env=env)


def test_ctrl_c_is_130(desk):
    code = "import roar.cli, signal, os; roar.cli._dispatch = lambda a: os.kill(os.getpid(), signal.SIGINT)\n"
    done = subprocess.run([sys.executable, "-c", f"{code}raise SystemExit(roar.cli.main([]))"], capture_output=True,
                          check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr == b""


RECORDING = {"roar.credentials.text", "roar.observe.redaction", "roar.observe.code", "roar.analyze.plumbing",
             "roar.analyze.fold", "roar.analyze.digest"}  # with patterns by the hundred


@pytest.mark.parametrize(("arguments", "forbidden"), [
    (["--help"], {"argparse", "dataclasses", "sqlite3", "rich", "re", "json"}),
    (["--version"], {"argparse", "dataclasses", "sqlite3", "rich", "re", "json"}),
    (["log"], {"rich", "urllib.request", "importlib.metadata", "subprocess", "blake3", "tomllib", "shutil"}),
    (["show", "@-1"], {"rich", "urllib.request", "importlib.metadata", "subprocess", "blake3", "tomllib"}),
    *((words.split(), RECORDING) for words in
      ("log", "show @-1", "lineage @-1", "label @-1", "dag", "status", "inputs")),
])
def test_what_a_verb_imports(desk, arguments, forbidden):
    desk.roar("run", "true")
    code = ("import sys, os\nbefore = set(sys.modules)\nfrom roar.cli import main\n"
            "sys.stdout = open(os.devnull, 'w')\n"
            f"assert main({arguments!r}) == 0\nsys.stderr.write(' '.join(set(sys.modules) - before))")
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=desk.root, capture_output=True, text=True,
                          check=False, env={**desk.env, "PYTHONPATH": ":".join(sys.path)})
    assert done.returncode == 0, done.stderr
    assert "roar.cli" in done.stderr.split()
    assert not forbidden.intersection(done.stderr.split())


@pytest.mark.parametrize("arguments", [["log"], ["show"], ["show", "--json"], ["export", "@1", "--format", "prov"]])
def test_a_full_disk_behind_stdout_is_said_in_a_sentence(desk, arguments):
    desk.python("print(1)")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*desk.program, *arguments], cwd=desk.root, env=desk.env, stdout=full,
                              stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "roar: The answer could not be written: No space left on device.\n")
