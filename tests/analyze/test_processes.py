"""Tasks shared out among processes: each done once, whatever becomes of a process."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from roar.analyze.processes import do_apart, share_out

TASKS = list(range(1000))


@pytest.fixture(autouse=True)
def three_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    count, before = threading.active_count, threading.active_count() - 1  # plugins of pytest may have threads, too
    monkeypatch.setattr(threading, "active_count", lambda: count() - before)


@pytest.fixture
def finished():
    return []


def name_of(task):
    return f"{task}:{os.getpid()}".encode(), True


def split(answers):
    """By process, the tasks it did."""
    found = {}
    for place, answer in enumerate(answers):
        if answer is not None:
            task, _, pid = answer.rstrip(b"\0").decode().partition(":")
            assert int(task) == place
            found.setdefault(int(pid), []).append(place)
    return found


def test_each_processor_does_its_share(finished):
    shares = split(share_out(TASKS, name_of, 30, finished.append))
    assert len(shares) == 3
    assert sorted(place for share in shares.values() for place in share) == TASKS
    assert sorted(finished) == TASKS, "each is told once"


def children():
    return {pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()}


def test_nobody_is_left_behind(finished):
    before = children()
    assert len(split(share_out(TASKS, name_of, 30, finished.append))) == 3
    assert children() <= before


def test_a_process_that_is_killed_leaves_its_tasks_undone(finished):
    parent = os.getpid()

    def die_at_200(task):
        if task >= 200 and os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return name_of(task)

    answers = share_out(TASKS, die_at_200, 30, finished.append)
    shares = split(answers)
    assert all(len(shares[pid]) < 100 for pid in shares if pid != parent)
    assert len(shares[parent]) == 334
    assert sorted(finished) == [place for place, answer in enumerate(answers) if answer is not None]


def test_an_error_in_a_copy_is_no_error_here(finished):
    parent = os.getpid()

    def fail(task):
        if os.getpid() != parent:
            raise RuntimeError(task)
        return name_of(task)

    assert list(split(share_out(TASKS, fail, 30, finished.append))) == [parent]


def test_an_error_here_ends_the_copies(finished):
    parent = os.getpid()

    def fail(task):
        if os.getpid() == parent:
            raise RuntimeError(task)
        time.sleep(60)
        return name_of(task)

    before = children()
    with pytest.raises(RuntimeError):
        share_out(TASKS[:30], fail, 30, finished.append)
    assert children() <= before


def test_a_process_stops_where_it_is_told_to(finished):
    shares = split(share_out(TASKS, lambda task: (name_of(task)[0], task < 300), 30, finished.append))
    assert all(max(share) in range(300, 303) for share in shares.values())


def test_no_process_can_be_started(finished, monkeypatch):
    def no_fork():
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", no_fork)
    assert list(split(share_out(TASKS, name_of, 30, finished.append))) == [os.getpid()]


def test_one_processor_or_other_threads_leave_all_undone(finished, monkeypatch):
    waiting = threading.Event()
    thread = threading.Thread(target=waiting.wait)
    thread.start()
    try:
        assert share_out(TASKS, name_of, 30, finished.append) == [None] * len(TASKS)
    finally:
        waiting.set()
        thread.join()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert share_out(TASKS, name_of, 30, finished.append) == [None] * len(TASKS)
    assert finished == []


def test_an_interrupt_ends_a_copy_at_once(finished):
    """Ctrl-C reaches every process of the terminal's foreground: the copies say nothing and leave the rest."""
    parent = os.getpid()

    def interrupt(task):
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGINT)
        return name_of(task)

    assert list(split(share_out(TASKS, interrupt, 30, finished.append))) == [parent]


def test_a_copy_does_not_outlive_the_process_by_more_than_a_task(tmp_path):
    def slow(task):
        time.sleep(0.02)
        with open(tmp_path / str(os.getpid()), "a") as file:
            file.write(f"{task}\n")
        return name_of(task)

    middle = os.fork()
    if middle == 0:
        try:
            share_out(TASKS, slow, 30, lambda _: None)
        finally:
            os._exit(0)
    wait_for(lambda: len(os.listdir(tmp_path)) == 3)
    os.kill(middle, signal.SIGKILL)
    os.waitpid(middle, 0)
    copies = [int(name) for name in os.listdir(tmp_path) if int(name) != middle]
    wait_for(lambda: not any(is_running(pid) for pid in copies))
    assert all(len((tmp_path / str(pid)).read_text().split()) < 300 for pid in copies), "a share is 333 tasks"


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


_AT_FORK = []


def _at_fork():
    while _AT_FORK:
        signal.pthread_kill(_AT_FORK.pop(), signal.SIGINT)


os.register_at_fork(after_in_parent=_at_fork)


@pytest.mark.parametrize("start", [
    lambda: share_out(TASKS, name_of, 30, lambda _: None),
    lambda: do_apart(TASKS, lambda task, _: name_of(task)[0], 30, lambda _: None)], ids=["share_out", "do_apart"])
def test_an_interrupt_at_the_fork_is_heard(start):
    """Python drops what is raised in the calls that it makes at a fork."""
    before = children()
    _AT_FORK.append(threading.main_thread().ident)
    with pytest.raises(KeyboardInterrupt):
        start()
    assert children() <= before


def test_how_far_the_other_process_is_can_be_seen():
    told = []

    def work(task, advance):
        for _ in range(4):
            time.sleep(0.01)
            advance(task)
        return b""

    assert do_apart(range(10), work, 1, told.append) == [b"\0"] * 10
    assert sum(told) == 4 * sum(range(10))
    assert len(told) > 2
