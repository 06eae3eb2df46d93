"""The reader of the event log, on real logs, broken ones and very large ones."""

import struct
import sys

import pytest
from event_logs import make_log, make_record
from hypothesis import given, settings
from hypothesis import strategies as st

from roar.observe import log as event_log
from roar.observe import tracing
from roar.observe.trace import EventKind


@pytest.fixture(scope="module")
def real_log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    (folder / "in.txt").write_text("x")
    program = (
        f"import os; os.chdir({str(folder)!r}); open('in.txt').read()\n"
        "for i in range(40): open(f'out-{i}', 'w').write('see http://example.org')\n"
        "print('see http://example.org/1')"
    )
    log = folder / "event.log"
    tracing.start([sys.executable, "-c", program], log=log).wait()
    return log.read_bytes()


def used_part(data: bytes) -> int:
    return len(data.rstrip(b"\0")) + 8


def test_a_log_cut_short_at_any_byte_gives_what_is_whole(real_log, tmp_path):
    path = tmp_path / "cut.log"
    path.write_bytes(real_log)
    whole = event_log.load_trace(path)
    assert sum("/out-" in event.path for event in whole.events) == 40
    end = used_part(real_log)
    sizes = [*range(0, 20600, 61), *range(20600, end, 17), end]
    counts = []
    for size in sizes:
        path.write_bytes(real_log[:size])
        trace = event_log.load_trace(path)
        counts.append(len(trace.events))
        assert set(map(str, trace.events)) <= set(map(str, whole.events))
    assert counts == sorted(counts)
    assert counts[-1] == len(whole.events)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_makes_it_raise(real_log, tmp_path_factory, data):
    broken = bytearray(real_log[: used_part(real_log)])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(broken) - 1))
        noise = data.draw(st.binary(min_size=1, max_size=64))
        broken[at : at + len(noise)] = noise
    path = tmp_path_factory.mktemp("damage") / "log"
    path.write_bytes(broken)
    trace = event_log.load_trace(path)
    assert trace.mode in ("none", "full", "seccomp", "preload")


@pytest.mark.parametrize("content", [None, b"", b"x", b"x" * 5000])
def test_what_is_no_log_says_so(content, tmp_path):
    path = tmp_path / "log"
    if content is not None:
        path.write_bytes(content)
    trace = event_log.load_trace(path)
    assert (trace.mode, trace.gaps, trace.events) == ("none", ("the event log cannot be read",), [])
    assert event_log.load_ended(path) is None


def test_the_duration_is_that_of_the_command_where_it_has_ended(real_log, tmp_path):
    path = tmp_path / "log"
    path.write_bytes(real_log)
    duration_s = event_log.load_trace(path).duration_s
    first_ns, last_ns = struct.unpack_from("=Q8xQ", real_log, 40)
    assert 0 < duration_s <= (last_ns - first_ns) / 1e9
    header = bytearray(real_log[:4096])
    path.write_bytes(make_log([], header))
    assert event_log.load_trace(path).duration_s == (last_ns - first_ns) / 1e9
    struct.pack_into("=I", header, 72, 0)
    path.write_bytes(make_log([], header))
    assert (event_log.load_ended(path), event_log.load_trace(path).duration_s) == (None, None)


def test_a_log_that_an_earlier_tracer_left_can_still_be_read(real_log, tmp_path):
    old, new = tmp_path / "old.log", tmp_path / "new.log"
    new.write_bytes(real_log)
    old.write_bytes(real_log[:8] + struct.pack("=I", 1) + real_log[12:])
    assert event_log.load_trace(old) == event_log.load_trace(new)
    assert event_log.load_trace(old, by_folder=True).folders == event_log.load_trace(new, by_folder=True).folders != ()
    old.write_bytes(real_log[:8] + struct.pack("=I", 5) + real_log[12:])
    assert event_log.load_trace(old).gaps == ("the event log cannot be read",)


def test_hundreds_of_thousands_of_records(real_log, tmp_path):
    records = [make_record(i % 50 + 1, i, b"/data/folder/file-%d.bin" % i) for i in range(300_000)]
    path = tmp_path / "log"
    path.write_bytes(make_log(records, real_log))
    trace = event_log.load_trace(path)
    assert len(trace.events) == 300_000
    assert trace.events[-1].path == "/data/folder/file-299999.bin"


def test_records_are_ordered_by_time_whatever_their_place(real_log, tmp_path):
    records = [make_record(1 + i % 3, ticks, b"/f%d" % ticks) for i, ticks in enumerate([50, 10, 40, 20, 30])]
    path = tmp_path / "log"
    path.write_bytes(make_log(records, real_log))
    assert [event.path for event in event_log.load_trace(path).events] == ["/f10", "/f20", "/f30", "/f40", "/f50"]


def test_failed_calls_are_left_out_and_names_are_normalised(real_log, tmp_path):
    records = [
        make_record(1, 1, b"/a/missing", result=-2),
        make_record(1, 2, b"/a//b/./../c", kind=2),
        make_record(1, 3, b"//etc/na\xefve"),
        make_record(1, 4, b"/unfinished", kind=0),
    ]
    path = tmp_path / "log"
    path.write_bytes(make_log(records, real_log))
    events = event_log.load_trace(path).events
    assert [(event.kind, event.path) for event in events] == [
        (EventKind.UNLINK, "/a/c"), (EventKind.OPEN, "/etc/na\udcefve"),
    ]  # fmt: skip
