"""Where files lay that a job wrote by a name that may lead elsewhere now."""

import os
import shutil

import pytest

from roar.analyze.fold import fold
from roar.analyze.led import Led
from roar.analyze.symlinks import follow_links
from roar.observe.trace import Event, EventKind, signature_of

NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


class Story:
    """Events below `runs/latest`, a link to `runs/a` beside `runs/b`."""

    def __init__(self, root):
        self.root = root
        self.events = []
        for name in "ab":
            (root / name).mkdir()
        (root / "latest").symlink_to("a")

    def add(self, kind, path, path2="", *, flags=0, sign=None):
        paths = [str(self.root / p) if p else "" for p in (path, path2)]
        self.events.append(Event(len(self.events), 1, kind, *paths, flags, None, sign, None))
        return self

    def write(self, path, place=None):
        self.add(EventKind.OPEN, path, flags=NEW)
        return self if place is None else self.add(EventKind.LED, path, place)

    def rename(self, path, path2):
        signature = signature_of(os.lstat(self.root / path))
        os.rename(self.root / path, self.root / path2)
        return self.add(EventKind.RENAME, path, path2, sign=signature)

    def turn(self, to):
        (self.root / "latest").unlink()
        (self.root / "latest").symlink_to(to)

    def verdict(self, name):
        """Whether what is written lies where its name leads now: True, False, or None where nobody can tell."""
        use = fold(follow_links(self.events).events)[str(self.root / name)]
        path = os.path.realpath(use.path)
        if use.led is None:
            return None
        return True if use.led.proves(use.path, path) else False if use.led.disproves(path) else None


@pytest.fixture
def story(tmp_path):
    return Story(tmp_path)


@pytest.mark.parametrize(("places", "now", "verdict"), [
    (["a"], "a", True), (["a"], "b", False), (["a", "a"], "a", True), (["a", "b"], "a", False),
    (["a", "b"], "b", False), ([None], "a", None),
])
def test_opened_to_be_written(story, places, now, verdict):
    for place in places:
        story.write("latest/f", place and f"{place}/f")
    story.turn(now)
    assert story.verdict("latest/f") is verdict


def test_what_was_deleted_says_nothing_of_what_is_written_then(story):
    story.write("latest/f", "b/f").add(EventKind.UNLINK, "latest/f").write("latest/f", "a/f")
    assert story.verdict("latest/f") is True


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize(("now", "verdict"), [("a", True), ("b", False)])
def test_a_rename(story, folder, now, verdict):
    if folder:
        (story.root / "a" / "new").mkdir()
    name = "new/f" if folder else "new"
    (story.root / "a" / name).write_text("x")
    story.write(f"latest/{name}", f"a/{name}").rename("latest/new", "latest/done")
    name = "done/f" if folder else "done"
    shutil.copytree(story.root / "a", story.root / "b", dirs_exist_ok=True)
    story.turn(now)
    assert story.verdict(f"latest/{name}") is verdict


def test_a_file_that_another_put_in_the_place_of_the_renamed_one(story):
    (story.root / "a" / "new").write_text("x")
    story.write("latest/new", "a/new").rename("latest/new", "latest/done")
    (story.root / "a" / "other").write_text("x")
    os.replace(story.root / "a" / "other", story.root / "a" / "done")
    assert story.verdict("latest/done") is None


def test_a_rename_in_a_folder_that_was_another_meanwhile(story):
    """Another run had a file of this name there: that is what was renamed."""
    for place in "ab":
        (story.root / place / "new").write_text(place)
        (story.root / place / "done").write_text("before")
    story.write("latest/new", "a/new")
    story.turn("b")
    story.rename("latest/new", "latest/done")
    story.turn("a")
    assert story.verdict("latest/done") is None


def test_after_a_rename_from_another_folder_only_the_file_itself_tells(story):
    (story.root / "x").write_text("x")
    story.write("x").rename("x", "latest/x")
    assert story.verdict("latest/x") is True
    story.turn("b")
    assert story.verdict("latest/x") is None


def test_a_link_of_the_jobs_own(story):
    """Where it led is followed through the events already, and the kernel said the same."""
    story.write("latest/f", "a/f")
    story.events.append(Event(2, 1, EventKind.SYMLINK, "a", str(story.root / "latest"), 1, None, None, None))
    story.add(EventKind.UNLINK, "latest")
    assert fold(follow_links(story.events).events)[str(story.root / "a" / "f")].led is None


def test_paths_that_differ_in_case_are_one_where_their_folder_is(tmp_path):
    (tmp_path / "a").mkdir()
    assert Led(f"{tmp_path}/a/F").proves("", f"{tmp_path}/a/f")
    assert Led(f"{tmp_path}/a/f").disproves(f"{tmp_path}/f")
