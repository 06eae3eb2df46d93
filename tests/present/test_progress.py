"""The bar on a terminal while something takes long."""

import contextlib
import os
import pty
import select
import sys
import threading
import time

from roar.present import progress
from roar.present.progress import LARGE, SOON_S, digesting


@contextlib.contextmanager
def terminal(monkeypatch):
    """The other end of the terminal that stderr is."""
    ours, theirs = pty.openpty()
    with monkeypatch.context() as patch, os.fdopen(theirs, "w") as stderr:
        patch.setenv("TERM", "xterm")
        patch.setattr(progress, "_FRAME_S", 0)
        patch.setattr(sys, "stderr", stderr)
        yield ours


def shown(end, text=""):
    """What comes out of the terminal until that has a text in it, or for now."""
    said = ""
    while select.select([end], (), (), 10 if text not in said else 0)[0]:
        said += os.read(end, 1 << 16).decode()
    return said


def test_where_there_is_much_to_do_the_bar_is_there_at_once(monkeypatch):
    with terminal(monkeypatch) as end, digesting() as show:
        show(0, LARGE)
        assert "roar: digesting" in shown(end, "roar: digesting")


def test_the_bar_moves(monkeypatch):
    with terminal(monkeypatch) as end, digesting() as show:
        for part in range(4):
            show(part * LARGE, 4 * LARGE)
            assert f" {part * 25}%" in shown(end, f" {part * 25}%")


def test_what_is_done_soon_needs_no_bar(monkeypatch):
    with terminal(monkeypatch) as end:
        with digesting() as show:
            for part in range(4):
                show(part * 1000, 3000)
        assert shown(end) == ""


def test_of_what_takes_long_there_is_a_bar_however_little_it_is(monkeypatch):
    with terminal(monkeypatch) as end, digesting() as show:
        show(0, 3000)
        time.sleep(SOON_S)
        show(1000, 3000)
        assert "33%" in shown(end, "33%")


def test_no_thread_draws_while_files_are_digested(monkeypatch):
    """Where there is one no other process digests anything."""
    before = threading.active_count()
    with terminal(monkeypatch) as end, digesting() as show:
        show(0, LARGE)
        assert threading.active_count() == before
        assert "digesting" in shown(end, "digesting")


def test_a_terminal_that_is_gone_stops_nothing(monkeypatch):
    with terminal(monkeypatch) as end, digesting() as show:
        show(0, LARGE)
        os.close(end)
        for part in range(4):
            show(part * LARGE, 4 * LARGE)


def test_without_a_terminal_there_is_no_bar(monkeypatch, tmp_path):
    with monkeypatch.context() as patch, open(tmp_path / "stderr", "w") as stderr:
        patch.setattr(sys, "stderr", stderr)
        with digesting() as show:
            assert show is None
