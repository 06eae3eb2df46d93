"""Digesting, and when a digest may be remembered."""

import faulthandler
import mmap
import os
import signal
import threading
import time

import pytest
from blake3 import blake3

from roar.analyze import digest, processes
from roar.analyze.digest import BATCH, LARGE, MANY, MAPPED, clock_tick, digest_files, find_regular, identity


def signatures(*paths):
    return {str(p): find_regular(str(p)) for p in paths}


def test_digests_are_those_of_blake3(tmp_path):
    content = {tmp_path / f"f{n}": os.urandom(n * 7) for n in range(200)}
    content[tmp_path / "large"] = os.urandom(LARGE + 5)
    content[tmp_path / "larger"] = os.urandom(MAPPED + 5)
    for path, data in content.items():
        path.write_bytes(data)
    done = digest_files(signatures(*content), {})
    assert {p: d.digest for p, d in done.items()} == {str(p): blake3(d).hexdigest() for p, d in content.items()}
    assert all(d.settled for d in done.values()), "files made before the call must be fit to be remembered"


@pytest.mark.parametrize("processors", [1, 4])
def test_many_small_files_whatever_the_number_of_processors(tmp_path, monkeypatch, processors):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    content = {tmp_path / f"f{n}": b"%d" % n * (n % 50) for n in range(BATCH * MANY + 100)}
    for path, data in content.items():
        path.write_bytes(data)
    wanted = signatures(*content)
    gone, changed = tmp_path / "f500", tmp_path / "f1500"
    gone.unlink()
    changed.write_bytes(b"longer than it was" * 100)
    told = []
    done = digest_files(wanted, {}, progress=lambda *both: told.append(both))
    assert list(done[str(gone)]) == [None, None, None, "could not be read: No such file or directory", False]
    assert (done[str(changed)].digest, done[str(changed)].note) == (None, "changed while it was digested")
    for path in content.keys() - {gone, changed}:
        found = done[str(path)]
        assert (found.digest, found.signature, found.settled) == (blake3(content[path]).hexdigest(),
                                                                  wanted[str(path)], True)
    total = sum(signature.size for signature in wanted.values())
    assert {of for _, of in told} == {total}
    assert told[-1][0] == total


def test_a_large_file_that_is_truncated_while_it_is_mapped_ends_another_process(tmp_path, monkeypatch):
    paths = [tmp_path / name for name in ("one", "truncated", "same again", "last")]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * MAPPED)
    wanted = signatures(*paths)
    mapped = digest._digest_mapped

    def digest_mapped(path, signature, report):
        faulthandler.disable()
        if path == str(paths[1]):
            with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
                os.truncate(path, 0)
                assert content[MAPPED - 1], "the kernel has ended this process"
        if path == str(paths[2]):
            os.kill(os.getpid(), signal.SIGBUS)
        return mapped(path, signature, report)

    monkeypatch.setattr(digest, "_digest_mapped", digest_mapped)
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # the suite may have one, which needs no lock of ours
    told = []
    done = digest_files(wanted, {}, progress=lambda *both: told.append(both))
    assert (done[str(paths[1])].digest, done[str(paths[1])].note) == (None, "changed while it was digested")
    assert {path: done[str(path)].digest for path in paths if path != paths[1]} == {
        path: blake3(path.read_bytes()).hexdigest() for path in paths if path != paths[1]}
    assert told[-1] == (4 * MAPPED, 4 * MAPPED)


@pytest.mark.parametrize("mapped", [True, False])
def test_how_far_one_large_file_is_can_be_seen(tmp_path, monkeypatch, mapped):
    monkeypatch.setattr(digest, "SLICE", 1 << 20)
    monkeypatch.setattr(processes, "_GLANCE", 0.001)
    monkeypatch.setattr(threading, "active_count", lambda: 1 if mapped else 2)
    if mapped:
        monkeypatch.delattr(digest, "_digest_streamed")
    file = tmp_path / "f"
    file.write_bytes(os.urandom(1 << 20) * 64)
    told = []
    done = digest_files(signatures(file), {}, progress=lambda *both: told.append(both))
    assert done[str(file)].digest == blake3(file.read_bytes()).hexdigest()
    assert {total for _, total in told} == {64 << 20}
    amounts = [amount for amount, _ in told]
    assert amounts == sorted(amounts)
    assert (amounts[0], amounts[-1]) == (0, 64 << 20)
    assert len({*amounts}) > 3, "it is told also while the file is read"


def test_what_is_known_is_not_read(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"abc")
    wanted = signatures(file)
    file.chmod(0)
    done = digest_files(wanted, {identity(wanted[str(file)]): "ab" * 32})
    assert done[str(file)].digest == "ab" * 32


@pytest.mark.parametrize("size", [10, LARGE])
def test_content_that_changed_has_no_digest(tmp_path, size):
    file = tmp_path / "f"
    file.write_bytes(b"x" * size)
    wanted = signatures(file)
    file.write_bytes(b"y" * (size + 1))
    done = digest_files(wanted, {})[str(file)]
    assert done.digest is None
    assert "changed" in done.note


def test_a_file_whose_size_does_not_tell_of_its_content_has_no_digest():
    """Such are those of the kernel, and of file systems that stream; of size 0 only the empty file has a digest."""
    path = "/proc/version"
    got = digest_files({path: find_regular(path)}, {})[path]
    assert (got.digest, got.size) == (None, None)
    assert "size of 0" in got.note


def test_a_file_that_is_gone_says_so(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"x")
    wanted = signatures(file)
    file.unlink()
    done = digest_files(wanted, {})[str(file)]
    assert (done.digest, done.note) == (None, "could not be read: No such file or directory")


def test_a_change_within_the_clocks_tick_is_never_remembered_as_the_old_content(tmp_path):
    """Rewrite a file with content of the same size as fast as possible while it is digested over and over."""
    file = tmp_path / "f"
    remembered = {}
    for round_ in range(300):
        file.write_bytes(b"%08d" % round_)
        wanted = signatures(file)
        done = digest_files(wanted, remembered)[str(file)]
        if done.digest is not None:
            assert done.digest == blake3(b"%08d" % round_).hexdigest()
        if done.settled:
            remembered[identity(done.signature)] = done.digest


def test_only_regular_files_have_a_signature(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert find_regular(str(tmp_path)) is None
    assert find_regular(str(tmp_path / "pipe")) is None
    assert find_regular(str(tmp_path / "none")) is None


def test_the_coarse_clock_is_never_ahead():
    assert clock_tick() <= time.time_ns()
