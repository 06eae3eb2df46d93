"""Files by their folder: what the native program makes of a log and of the file system, beside what Python makes."""

import os
import sys
from dataclasses import replace

import pytest
from event_logs import make_log, make_record
from hypothesis import given, settings
from hypothesis import strategies as st

from roar.analyze.fold import Uses, fold
from roar.observe import tracing
from roar.observe.folders import FolderFiles, fold_files, read_log_folders, stamp, stat_files
from roar.observe.log import load_trace
from roar.observe.trace import EventKind, signature_of

REGULAR, FOLDER = 0o100644, 0o040755


@pytest.fixture(scope="module")
def header(tmp_path_factory):
    """The first page of a real log."""
    log = tmp_path_factory.mktemp("header") / "log"
    tracing.start(["true"], log=log).wait()
    return log.read_bytes()[:4096]


def record(ticks, kind, path, *, inode=1, **more):
    return make_record(1 + ticks % 3, ticks, path, kind=kind, inode=inode, **more)


def write_log(path, header, records):
    path.write_bytes(make_log(records, header))
    return path


PATHS = st.builds(b"/".join, st.lists(st.sampled_from([b"/d", b"e", b"f", b"f.bin", b"g\xff", b".", b"..", b".h"]),
                                      min_size=1, max_size=4)).map(lambda p: b"/" + p.lstrip(b"/"))
RECORDS = st.builds(
    lambda kind, path, path2, result, flags, mode, inode, existed: (
        kind, path, path2 if kind in {3, 4, 5} else b"", result, flags, mode, inode, existed),
    st.sampled_from([1] * 12 + [2, 3, 4, 5, 6, 7, 8, 9]), PATHS, PATHS, st.sampled_from([3, 3, 3, -2, -(2**31)]),
    st.sampled_from([0] * 6 + [os.O_CLOEXEC, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT, os.O_TRUNC,
                               os.O_DIRECTORY, os.O_PATH, os.O_TMPFILE | os.O_RDWR]),
    st.sampled_from([REGULAR] * 6 + [FOLDER, None]), st.integers(1, 3), st.booleans())


@settings(max_examples=300, deadline=None)
@given(records=st.lists(RECORDS, max_size=25))
def test_a_log_taken_apart_says_the_same(header, tmp_path_factory, records):
    log = write_log(tmp_path_factory.mktemp("log") / "log", header, [
        record(ticks, kind, path, path2=path2, result=result, flags=flags, mode=mode, inode=inode, existed=existed)
        for ticks, (kind, path, path2, result, flags, mode, inode, existed) in enumerate(records)])
    apart = load_trace(log, by_folder=True)
    uses = Uses(fold(apart.events), apart.folders)
    assert dict(uses) == fold(load_trace(log).events)


def closed(log):
    return {files.folder: files.list_names() for files in load_trace(log, by_folder=True).folders}


def test_a_folder_of_reads_is_closed_and_each_file_stands_once_with_its_first_read(header, tmp_path):
    log = write_log(tmp_path / "log", header, [
        record(9, 1, b"/d/b", inode=9), record(1, 1, b"/d/a", inode=1), record(5, 1, b"/d/b", inode=9),
        record(3, 1, b"/d/e/c", inode=3), record(4, 1, b"/top", inode=4)])
    trace = load_trace(log, by_folder=True)
    assert {f.folder: [(n, s.inode) for n, _, s in f.iter_files()] for f in trace.folders} == {
        "/d": [("a", 1), ("b", 9)], "/d/e": [("c", 3)], "": [("top", 4)]}
    assert trace.events == []
    times = {name: time for f in trace.folders for name, time, _ in f.iter_files()}
    assert times == {os.path.basename(e.path): e.time_ns for e in reversed(load_trace(log).events)}


@pytest.mark.parametrize(("change", "left"), [
    (record(2, 1, b"/d/b", flags=os.O_WRONLY), {"/d/e", "/x"}),
    (record(2, 1, b"/d/./b", flags=os.O_WRONLY), {"/d/e", "/x"}),
    (record(2, 1, b"/d/e/../b", flags=os.O_RDONLY | os.O_CREAT, existed=False), {"/d/e", "/x"}),
    (record(2, 2, b"/d/e/c"), {"/d", "/x"}),
    (record(2, 3, b"/d", path2=b"/moved"), {"/x"}),
    (record(2, 3, b"/x", path2=b"/d"), set()),
    (record(2, 9, b"/d/e"), {"/x"}),
    (record(2, 5, b"/d/a", path2=b"/link"), {"/d", "/d/e", "/x"}),
    (record(2, 4, b"/d/a", path2=b"/link"), {"/d/e", "/x"}),
    (record(2, 1, b"/d/b", flags=os.O_WRONLY, result=-13), {"/d", "/d/e", "/x"}),
    (record(2, 1, b"/d", flags=os.O_DIRECTORY, mode=FOLDER), {"/d", "/d/e", "/x"}),
    (record(2, 1, b"/d/fifo", mode=0o010644), {"/d/e", "/x"}),
    (record(2, 1, b"/d/b", mode=None), {"/d/e", "/x"}),
    (record(2, 1, b"/d/a", inode=2), {"/d/e", "/x"}),
])
def test_what_keeps_a_folder_open(change, left, header, tmp_path):
    reads = [record(1, 1, path) for path in (b"/d/a", b"/d/e/c", b"/x/y")]
    assert closed(write_log(tmp_path / "log", header, [*reads, change])).keys() == left


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_makes_it_raise(header, tmp_path_factory, data):
    log = write_log(tmp_path_factory.mktemp("damage") / "log", header,
                    [record(n, 1, b"/d/%d" % (n % 7)) for n in range(30)])
    broken = bytearray(log.read_bytes()[:4096 + 16384 + 4000])
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(broken) - 1))
        noise = data.draw(st.binary(min_size=1, max_size=64))
        broken[at:at + len(noise)] = noise
    log.write_bytes(broken)
    assert load_trace(log, by_folder=True).mode in {"none", "full", "seccomp", "preload"}


def test_what_is_no_log_gives_nothing(tmp_path):
    assert read_log_folders(tmp_path / "missing") is None
    (tmp_path / "text").write_text("x" * 9000)
    assert read_log_folders(tmp_path / "text") is None


def test_a_real_program_that_reads_a_folder(tmp_path):
    for number in range(300):
        place = tmp_path / "in" / str(number % 3)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.txt").write_text(str(number))
    code = f"import os\nfor d, _, f in os.walk({str(tmp_path / 'in')!r}):\n  for n in f: open(f'{{d}}/{{n}}').read()"
    tracing.start([sys.executable, "-c", code], log=tmp_path / "log").wait()
    trace = load_trace(tmp_path / "log", by_folder=True)
    found = {files.folder: files for files in trace.folders}
    for name in "012":
        files = found[str(tmp_path / "in" / name)]
        expected = sorted(path.name for path in (tmp_path / "in" / name).iterdir())
        assert files.list_names() == expected
        assert [signature for _, _, signature in files.iter_files()] == [
            signature_of((tmp_path / "in" / name / file).stat()) for file in expected]
    assert not any(event.kind is EventKind.OPEN and event.path.endswith(".txt") for event in trace.events)


def test_present_signatures_of_many_files(tmp_path):
    names = [os.fsdecode(name) for name in (b"a", b"e/line\nbreak", b"e/\xff", b"e/e/deep")]
    names += [f"many/{number}" for number in range(10_000)]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name.encode("utf-8", "replace").decode())
    (tmp_path / "link").symlink_to("a")
    names.append("link")
    found = stat_files(str(tmp_path), b"".join(os.fsencode(name) + b"\0" for name in names))
    expected = fold_files((name, signature_of((tmp_path / name).stat())) for name in names)
    assert {files.folder: files for files in found} == {files.folder: files for files in expected}
    assert stamp("", found) == stamp("", reversed(expected))


@pytest.mark.parametrize("bad", [b"missing\0", b"folder\0", b"fifo\0", b"a/below\0"])
def test_a_file_that_is_not_there(bad, tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    assert stat_files(str(tmp_path), b"a\0") is not None
    assert stat_files(str(tmp_path), b"a\0" + bad) is None
    assert stat_files(str(tmp_path / "gone"), b"a\0") is None


def test_stamps_are_equal_only_for_the_same_files_under_the_same_root():
    one = FolderFiles(folder="in/a", names=b"x\0y\0", times=bytes(16), signatures=bytes(96))
    other = replace(one, folder="in/b")
    whole = stamp("in", [one, other])
    assert whole == stamp("in", [other, one])
    assert whole == stamp("", [replace(one, folder="a"), replace(other, folder="b")])
    assert whole == stamp("in", [replace(one, times=b"1" * 16), other])
    others = [[one], [replace(one, names=b"x\0z\0"), other], [replace(one, signatures=b"1" * 96), other],
              [replace(one, folder="in/c"), other]]
    assert len({whole, stamp("in", [one, other], b"context"), *(stamp("in", files) for files in others)}) == 6
