"""Folding events to uses, each case one short story."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roar.analyze.fold import Made, fold
from roar.analyze.nameless import AT_SYMLINK_FOLLOW
from roar.observe.trace import Event, EventKind, Signature

READ, WRITE, BOTH = os.O_RDONLY, os.O_WRONLY, os.O_RDWR
NEW = os.O_CREAT | os.O_TRUNC


def signature(inode=1, size=3):
    return Signature(1, inode, size, 10, 10, 0o100644)


class Story:
    """Events in order of time, paths below one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.events = []

    def add(self, kind, path, path2="", *, flags=0, result=None, existed=None, sign=None, pid=1):
        here = [p if not p or p.startswith("/") else f"{self.folder}/{p}" for p in (path, path2)]
        self.events.append(Event(len(self.events), pid, kind, *here, flags, result, sign, existed))
        return self

    def read(self, path, sign=None, **more):
        return self.add(EventKind.OPEN, path, flags=READ, result=3, existed=True, sign=sign or signature(), **more)

    def create(self, path, **more):
        return self.add(EventKind.OPEN, path, flags=WRITE | NEW, existed=False, **more)

    def use(self, path):
        return fold(self.events).get(f"{self.folder}/{path}")


@pytest.fixture
def story(tmp_path):
    return Story(str(tmp_path))


def test_a_file_that_was_read(story):
    use = story.read("a").use("a")
    assert (use.read, use.written, use.signature) == (True, False, signature())


def test_a_new_file_was_written_and_not_read(story):
    use = story.create("a").use("a")
    assert (use.read, use.written, use.replaced) == (False, True, True)


def test_reading_what_the_job_wrote_is_no_input(story):
    use = story.create("a", pid=1).read("a", pid=2).use("a")
    assert (use.read, use.written) == (False, True)


@pytest.mark.parametrize("later", [signature(inode=2), signature(size=4), signature()._replace(mtime_ns=11)])
def test_reads_that_found_two_contents_say_so(story, later):
    use = story.read("a").read("a", later, pid=2).read("a").use("a")
    assert (use.changed, use.signature) == (True, signature())


def test_a_later_read_that_found_only_another_change_time_is_of_the_same_content(story):
    assert not story.read("a").read("a", signature()._replace(ctime_ns=11, mode=0o100600)).use("a").changed


def test_reading_what_the_job_itself_changed_is_no_second_content(story):
    story.read("a").add(EventKind.OPEN, "a", flags=WRITE, existed=True, sign=signature())
    assert not story.read("a", signature(size=4)).use("a").changed


def test_an_edit_in_place_of_what_somebody_else_changed_read_two_contents(story):
    story.read("a").add(EventKind.OPEN, "a", flags=WRITE, existed=True, sign=signature(size=4))
    assert story.use("a").changed


def test_replacing_what_somebody_else_changed_reads_nothing_more(story):
    story.read("a").add(EventKind.OPEN, "a", flags=WRITE | NEW, existed=True, sign=signature(size=4))
    assert not story.use("a").changed


def test_read_first_then_overwritten_is_both(story):
    story.read("a").add(EventKind.OPEN, "a", flags=WRITE | NEW, existed=True, sign=signature(size=9))
    use = story.use("a")
    assert (use.read, use.written, use.signature) == (True, True, signature())


@pytest.mark.parametrize("flags", [WRITE | os.O_APPEND, BOTH])
def test_an_append_or_an_edit_in_place_reads_the_earlier_content(story, flags):
    use = story.add(EventKind.OPEN, "a", flags=flags, existed=True, sign=signature()).use("a")
    assert (use.read, use.written, use.replaced, use.signature) == (True, True, False, signature())


def test_truncating_an_existing_file_does_not_read_it(story):
    use = story.add(EventKind.OPEN, "a", flags=WRITE | os.O_TRUNC, existed=True, sign=signature()).use("a")
    assert (use.read, use.written) == (False, True)


def test_a_failed_open_is_nothing(story):
    assert story.add(EventKind.OPEN, "a", flags=READ, result=-2).use("a") is None
    assert story.add(EventKind.OPEN, "b", flags=READ, existed=False).use("b") is None


def test_folders_and_path_only_opens_are_nothing(story):
    story.add(EventKind.OPEN, "d", flags=READ | os.O_DIRECTORY, result=3)
    story.add(EventKind.OPEN, "e", flags=os.O_PATH, result=3)
    story.add(EventKind.OPEN, "f", flags=READ, result=3, sign=signature()._replace(mode=0o040755))
    assert fold(story.events) == {}


def test_tmp_then_rename_makes_the_final_name_the_output(story):
    story.create("a.tmp").add(EventKind.RENAME, "a.tmp", "a")
    uses = fold(story.events)
    assert uses[f"{story.folder}/a"].written
    assert not uses[f"{story.folder}/a"].read
    assert not uses[f"{story.folder}/a.tmp"].exists
    assert not uses[f"{story.folder}/a.tmp"].read


def test_renaming_an_old_file_reads_it(story):
    story.add(EventKind.RENAME, "old", "new", sign=signature())
    uses = fold(story.events)
    old, new = uses[f"{story.folder}/old"], uses[f"{story.folder}/new"]
    assert (old.read, old.signature, old.moved_to) == (True, signature(), f"{story.folder}/new")
    assert (new.read, new.written) == (False, True)


@pytest.mark.parametrize(("steps", "only_moved"), [
    ([("rename", "a", "b")], True),
    ([("rename", "a", "b"), ("rename", "b", "c")], True),
    ([("rename", "a", "b"), ("rename", "b", "c"), ("read", "c")], False),
    ([("read", "a"), ("rename", "a", "b")], False),
    ([("rename", "a", "b"), ("append", "b")], False),
    ([("rename", "a", "b"), ("truncate", "b"), ("read", "b")], True),
    ([("rename", "a", "b"), ("link", "b", "c")], False),
    ([("link", "a", "b"), ("rename", "a", "c")], False),
    ([("rename", "a", "b"), ("create", "a"), ("read", "a")], True),
])
def test_what_is_only_moved_was_not_opened_under_any_of_its_names(story, steps, only_moved):
    for kind, *paths in steps:
        {"rename": lambda old, new: story.add(EventKind.RENAME, old, new, sign=signature()),
         "link": lambda old, new: story.add(EventKind.LINK, old, new, sign=signature()),
         "append": lambda path: story.add(EventKind.OPEN, path, flags=WRITE | os.O_APPEND, existed=True),
         "truncate": lambda path: story.add(EventKind.OPEN, path, flags=WRITE | os.O_TRUNC, existed=True),
         "create": story.create, "read": story.read}[kind](*paths)
    use = story.use("a")
    assert (use.read, use.only_moved) == (True, only_moved)


def test_a_renamed_folder_takes_its_files_along(story):
    story.create("d.tmp/x/one").read("d.tmp/old").add(EventKind.RENAME, "d.tmp", "d")
    uses = fold(story.events)
    assert uses[f"{story.folder}/d/x/one"].written
    assert uses[f"{story.folder}/d/old"].written
    assert uses[f"{story.folder}/d.tmp/old"].moved_to == f"{story.folder}/d/old"


def test_a_hard_link_is_an_output(story):
    story.create("a").add(EventKind.LINK, "a", "b")
    uses = fold(story.events)
    assert uses[f"{story.folder}/a"].written
    assert uses[f"{story.folder}/b"].written
    assert not uses[f"{story.folder}/a"].read


def test_an_unnamed_file_that_is_linked_is_an_output(story):
    story.add(EventKind.OPEN, ".", flags=BOTH | os.O_TMPFILE, result=3)
    story.add(EventKind.LINK, "#123 (deleted)", "a", flags=AT_SYMLINK_FOLLOW)
    uses = fold(story.events)
    assert list(uses) == [f"{story.folder}/a"]
    assert uses[f"{story.folder}/a"].written


def test_exchange_writes_both_names(story):
    story.add(EventKind.RENAME, "a", "b", flags=2)
    uses = fold(story.events)
    assert all(use.written and use.read for use in uses.values())


def test_a_symlink_keeps_its_text(story):
    use = story.add(EventKind.SYMLINK, "../target", "link").events and fold(story.events)[f"{story.folder}/link"]
    assert (use.made, use.written) == (Made.SYMLINK, True)


def test_the_same_temporary_name_twice_is_two_outputs(story):
    story.create("t").add(EventKind.RENAME, "t", "a").create("t").add(EventKind.RENAME, "t", "b")
    uses = fold(story.events)
    assert uses[f"{story.folder}/a"].written
    assert uses[f"{story.folder}/b"].written
    assert not uses[f"{story.folder}/t"].read


PATHS = st.sampled_from([f"/nowhere/{name}" for name in ("a", "b", "d/a", "d/b")])


@st.composite
def process_events(draw, pid):
    """Events of one process that touches only files of its own."""
    events = []
    for _ in range(draw(st.integers(0, 6))):
        path, path2 = (f"{draw(PATHS)}.{pid}" for _ in range(2))
        kind = draw(st.sampled_from([EventKind.OPEN, EventKind.UNLINK, EventKind.RENAME, EventKind.LINK]))
        flags = draw(st.sampled_from([READ, WRITE | NEW, WRITE | os.O_APPEND, BOTH])) if kind is EventKind.OPEN else 0
        existed = draw(st.booleans()) if kind is EventKind.OPEN else None
        two = path2 if kind in {EventKind.RENAME, EventKind.LINK} else ""
        events.append(Event(0, pid, kind, path, two, flags, None, None, existed))
    return events


@settings(deadline=None)
@given(process_events(1), process_events(2), st.randoms())
def test_the_interleaving_of_independent_processes_does_not_matter(one, two, random):
    order = [1] * len(one) + [2] * len(two)
    random.shuffle(order)
    queues = {1: iter(one), 2: iter(two)}
    mixed = [next(queues[pid]) for pid in order]

    def facts(events):
        return {p: (u.read, u.written, u.replaced, u.moved_to) for p, u in fold(events).items()}

    assert facts(mixed) == facts([*one, *two])
