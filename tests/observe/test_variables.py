"""Which variables of the environment a process has otherwise than one above it."""

import os
import subprocess
import sys

import pytest

from roar.observe.variables import find_changed

BASE = {"PATH": os.environ["PATH"], "KEPT": "1"}


@pytest.mark.parametrize(("above", "below", "changed"), [
    ({}, {}, ()), ({}, {"SEED": "4"}, ("SEED",)), ({"SEED": "3"}, {"SEED": "4"}, ("SEED",)),
    ({"SEED": "3"}, {}, ("SEED",)), ({"B": "1"}, {"A": "1"}, ("A", "B")), ({}, {"A": ""}, ("A",)),
    ({}, {"PWD": "/", "OLDPWD": "/", "SHLVL": "3", "_": "x", "LD_PRELOAD": "x.so", "ROAR_TRACE": "1",
          "MAKEFLAGS": "-j"}, ()),
    ({}, {"LC_CTYPE": "C.UTF-8"}, ()), ({}, {"LC_CTYPE": "de_DE.UTF-8"}, ("LC_CTYPE",)),
    ({}, {f"V{number:02}": "x" for number in range(30)}, tuple(f"V{number:02}" for number in range(20)))])
def test_names_alone_are_told(above, below, changed):
    with process(above) as one, process(below) as other:
        assert find_changed(other.pid, one.pid) == changed


def test_nothing_is_told_of_what_is_gone():
    with process({}) as one:
        pass
    assert find_changed(os.getpid(), one.pid) == ()


def process(more):
    """A process with an environment, until its standard input ends."""
    found = subprocess.Popen([sys.executable, "-S", "-c", "import sys; print(flush=True); sys.stdin.read()"],
                             env=BASE | more, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    found.stdout.readline()  # it is executed
    return found
