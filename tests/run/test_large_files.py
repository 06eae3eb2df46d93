"""While what a job read or wrote is digested, on a terminal: how far that is, and how to leave it for later."""

import os
import pty
import signal
import subprocess

import pytest

SIZE = 1 << 30


class Terminal:
    """`roar` with a terminal as its stderr."""

    def __init__(self, desk, *arguments):
        self._end, theirs = pty.openpty()
        self._process = desk.start(*arguments, stderr=theirs, stdout=subprocess.PIPE, env={"TERM": "xterm"})
        os.close(theirs)
        self.said = ""

    def wait_for(self, text):
        while text not in self.said:
            try:
                self.said += os.read(self._end, 1 << 16).decode()
            except OSError:  # EIO: the other side is closed
                break
        assert text in self.said

    def interrupt(self):
        self._process.send_signal(signal.SIGINT)

    def end(self):
        """Exit status and stdout."""
        while True:
            try:
                self.said += os.read(self._end, 1 << 16).decode()
            except OSError:
                break
        os.close(self._end)
        stdout, _ = self._process.communicate(timeout=60)
        return self._process.returncode, stdout.decode()


@pytest.fixture
def large(desk):
    """A file of which only the size is large; to digest it takes some tenths of a second at least."""
    with open(desk.root / "large", "wb") as file:
        file.truncate(SIZE)
    return desk


@pytest.fixture
def cut_short(large):
    """A job that was not recorded when it had ended, after one that was."""
    large.roar("run", "-q", "true")
    database = large.root / ".roar" / "roar.db"
    database.rename(large.root / "good.db")
    database.mkdir()
    assert "is not recorded yet" in large.roar("run", "head", "-c", "1", "large").stderr
    database.rmdir()
    (large.root / "good.db").rename(database)
    return large


def test_a_bar_is_shown_once_the_command_has_ended(large):
    terminal = Terminal(large, "run", "head", "-c", "1", "large")
    terminal.wait_for("roar: digesting")
    assert terminal.end()[0] == 0
    assert "roar: recorded @1" in terminal.said


def test_an_interrupted_recording_is_finished_by_the_next_verb_which_says_so(large):
    terminal = Terminal(large, "run", "head", "-c", "1", "large")
    terminal.wait_for("roar: digesting")
    terminal.interrupt()
    assert terminal.end()[0] == 0
    assert "roar: recording was interrupted; `roar recover` finishes job " in terminal.said
    terminal = Terminal(large, "log")
    terminal.wait_for("which was cut short; Ctrl-C leaves it for later")
    terminal.wait_for("roar: digesting")
    status, said = terminal.end()
    assert (status, "head -c 1 large" in said) == (0, True)


@pytest.mark.parametrize("words", [("log",), ("status",), ("show", "@1"), ("dag",), ("inputs", "@1")])
def test_a_verb_that_only_answers_does_so_without_the_job_that_is_left_for_later(cut_short, words):
    terminal = Terminal(cut_short, *words)
    terminal.wait_for("which was cut short; Ctrl-C leaves it for later")
    terminal.wait_for("roar: digesting")
    terminal.interrupt()
    status, said = terminal.end()
    assert (status, "large" in said) == (0, False)
    (uid,) = cut_short.json("recover")["recovered"]
    assert f"`roar recover` finishes job {uid[:8]}; the answer is without it" in terminal.said
    assert [use["size"] for use in cut_short.job(uid)["inputs"]] == [SIZE]


@pytest.mark.parametrize("words", [("pop",), ("reset",), ("label", "@1", "a=b"), ("recover",)])
def test_a_verb_that_changes_something_is_over_where_a_job_is_left_for_later(cut_short, words):
    terminal = Terminal(cut_short, *words)
    terminal.wait_for("which was cut short; Ctrl-C leaves it for later")
    terminal.wait_for("roar: digesting")
    terminal.interrupt()
    assert terminal.end() == (130, "")
    (uid,) = cut_short.json("recover")["recovered"]
    assert [use["size"] for use in cut_short.job(uid)["inputs"]] == [SIZE]
    assert [(job["step"], job["labels"]) for job in cut_short.json("log")["jobs"]] == [(2, {}), (1, {})]


def test_a_large_file_that_was_changed_is_digested_under_a_bar(large):
    large.roar("run", "head", "-c", "1", "large")
    os.utime(large.root / "large")
    terminal = Terminal(large, "status")
    terminal.wait_for("roar: digesting")
    assert terminal.end()[0] == 0


def test_without_a_terminal_nothing_is_said_of_it(cut_short):
    assert cut_short.roar("log").stderr == ""
