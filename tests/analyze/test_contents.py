"""What a job read and then wrote, where the clock of a file system is too coarse to tell the one from the other."""

from types import SimpleNamespace

import pytest

from roar.analyze.contents import Contents
from roar.analyze.fold import PathUse
from roar.analyze.surroundings import Remembered
from roar.observe.trace import Signature

SECOND = 1_000_000_000
START = 1_795_341_600 * SECOND
KNOWN = "0" * 64


def contents(tmp_path, changed_ns, **use):
    """Input and output of a job that read a file of this age and opened it for writing, its times being as before."""
    path = tmp_path / "f"
    path.write_text("0700")
    file = path.stat()
    signature = Signature(file.st_dev, file.st_ino, 4, changed_ns, changed_ns, file.st_mode)
    around = SimpleNamespace(shown=str, started_ns=START, clock_ns=0, is_late=False)
    known = Remembered(digests=lambda _: {signature[:5]: KNOWN}, datasets=lambda _: {})
    found = Contents(around, None, known)
    of = PathUse(path=str(path), read=True, written=True, signature=signature, status=signature, **use)
    return found.read(of), found.written(of), found


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("changed_ns", [START, START - SECOND, START + 5, START + SECOND])
def test_what_was_as_new_as_its_times_can_tell_may_have_been_something_else(tmp_path, changed_ns, replaced):
    read, written, found = contents(tmp_path, changed_ns, replaced=replaced)
    found.digest(None)
    assert (read.digest, read.drop, written.drop) == (None, False, False)
    assert "no earlier record proves" in read.note


@pytest.mark.parametrize("changed_ns", [START - 3 * SECOND, START - 5])
def test_what_was_older_was_left_as_it_was(tmp_path, changed_ns):
    read, written, found = contents(tmp_path, changed_ns)
    found.digest(None)
    assert (read.digest, written.drop) == (KNOWN, True)
