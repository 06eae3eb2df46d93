"""Where a tracker's files went that the job itself moved: renamed, alone or with a folder, or copied and then deleted.

A tracker recognises its files where it wrote them. Here it is decided which of them are still the tracker's at their
new place. A part that somebody takes out of a tracker's folder (the plots, a model) is theirs: files stay the
tracker's only where what makes them recognisable went along, or all that there was of it.
"""

import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import quote, unquote

from roar.analyze.fold import Made, PathUse, find_content
from roar.analyze.trackers.contract import Ownership
from roar.model import TrackerRun, TrackerRunState
from roar.shell import Word, iter_words, quoted

_DATABASE = "sqlite:///"


class Copy(NamedTuple):
    """A folder that was copied as a whole and is gone."""

    source: str
    target: str


class Moves:
    """The moves of one job.

    Args:
        uses: by path, those that are known one by one: only they can have moved.
    """

    def __init__(self, uses: Mapping[str, PathUse]) -> None:
        self._uses = uses
        self._copies: list[Copy] = []
        self._arrived: dict[str, PathUse] | None = None

    def place(self, path: str) -> str | None:
        """Where the content of a file is that is no longer at `path`; None where it never left, or is gone."""
        use = self._uses.get(path)
        if use is None or use.exists:
            return None
        if use.moved_to is not None:
            there = find_content(self._uses, use)
            return there.path if there is not None and there.exists else None
        return next(self._counterparts(path), None) if self._copies else None

    def came_from(self, path: str) -> PathUse | None:
        """The use whose content a rename brought to `path`, where nothing was written there since."""
        if self._arrived is None:
            self._arrived = {there.path: use for use in list(self._uses.values()) if use.moved_to is not None
                             and not use.exists and (there := find_content(self._uses, use)) is not None}
        return self._arrived.get(path)

    def is_gone(self, path: str) -> bool:
        """Whether a file is neither where it was written nor anywhere that the job moved it."""
        use = self._uses.get(path)
        return use is not None and not use.exists and self.place(path) is None

    def _counterparts(self, path: str) -> Iterator[str]:
        """Where copies of a file are now, which may have gone on from where they were made."""
        for copy in self._copies:
            if path.startswith(copy.source + "/"):
                target = copy.target + path[len(copy.source):]
                if self._is_copy(path, target):
                    place = target if self._uses[target].exists else self.place(target)
                    if place is not None:
                        yield place

    def _is_copy(self, path: str, target: str) -> bool:
        """Whether what was written at `target` can be a copy. That is always younger, so chains of copies end."""
        use, there = self._uses[path], self._uses.get(target)
        return (there is not None and there.written and there.first_ns > use.first_ns
                and (there.exists or there.moved_to is not None or self._was_deleted(target)))

    # Folders that were copied

    def find_copies(self, owned: Mapping[str, Ownership], is_anchor: Callable[[str], bool],
                    named: Callable[[str], Collection[str]]) -> bool:
        """Look for whole copies of a tracker's folders that are gone, to be known from now on; whether there are new.

        Args:
            owned: the tracker's files.
            is_anchor: whether a path is one of those that make the folder recognisable.
            named: all paths whose last part is this.
        """
        known = len(self._copies)
        deleted = [path for path in owned if self._was_deleted(path)]
        if not deleted:
            return False
        anchors = set(filter(is_anchor, owned))
        gone = [path for path in deleted if owned[path] is Ownership.NOISE or path in anchors]
        seeds = [path for path in gone if path in anchors] if anchors else gone
        while seeds:
            found = list(self._iter_copies(seeds, gone, owned, named))
            self._copies += found
            onward = {path: copy.target + path[len(copy.source):] for copy in found for path in gone
                      if path.startswith(copy.source + "/")}
            onward = {path: target for path, target in onward.items() if self._was_deleted(target)}
            gone, seeds = list(onward.values()), [onward[seed] for seed in seeds if seed in onward]
        self._copies.sort(key=lambda copy: len(copy.source))  # the highest first: `latest-run` holds a copy too
        return len(self._copies) > known

    def _iter_copies(self, seeds: Iterable[str], gone: Sequence[str], owned: Mapping[str, Ownership],
                     named: Callable[[str], Collection[str]]) -> Iterator[Copy]:
        """Copies of the folders of these files that are not known yet."""
        new: set[Copy] = set()
        for seed in {path.rpartition("/")[0]: path for path in seeds}.values():
            for candidate in named(seed.rpartition("/")[2]):
                if self._is_copy(seed, candidate):
                    copy = _folders(seed, candidate)
                    if copy not in self._copies and copy not in new and self._is_whole(copy, gone, owned):
                        new.add(copy)
                        yield copy

    def _was_deleted(self, path: str) -> bool:
        use = self._uses.get(path)
        return (use is not None and use.written and not use.exists and use.moved_to is None
                and use.made is Made.FILE)

    def _is_whole(self, copy: Copy, gone: Iterable[str], owned: Mapping[str, Ownership]) -> bool:
        """Whether every file that the tracker still had below the folder when the copying began was copied.

        One file alone is no folder, unless the tracker has recognised the copy as well.
        """
        pairs = [(path, copy.target + path[len(copy.source):]) for path in gone if path.startswith(copy.source + "/")]
        began = min(self._uses[target].first_ns for path, target in pairs if self._is_copy(path, target))
        alive = [(path, target) for path, target in pairs if self._uses[path].last_ns > began]
        known = any(target in owned for _, target in alive)
        return (len(alive) > 1 or known) and all(self._is_copy(path, target) for path, target in alive)

    # What stays the tracker's

    def carried(self, owned: Mapping[str, Ownership], is_anchor: Callable[[str], bool]) -> dict[str, str]:
        """By the path at which a tracker knows its file, where it is now, as far as it is still the tracker's."""
        found = {path: place for path in owned if (place := self.place(path)) is not None}
        went = self._gone_with_folder(found, is_anchor)
        for path in went:
            del found[path]
        by_move: defaultdict[int, list[str]] = defaultdict(list)
        for path in found:
            if self._uses[path].moved_to is not None:
                by_move[self._uses[path].moved_ns].append(path)
        for moved_ns, paths in by_move.items():
            if not any(map(is_anchor, paths)) and self._leaves_some(owned, found, moved_ns):
                for path in paths:
                    del found[path]
        found |= went
        return {path: place for path, place in found.items() if self._is_still_its_own(path, place, owned)}

    def _gone_with_folder(self, found: Iterable[str], is_anchor: Callable[[str], bool]) -> dict[str, str]:
        """Where files went with their folder whose names somebody's files had later, and then lost by a move too."""
        left = {self._uses[path].moved_ns: _folders(path, moved_to) for path in found
                if is_anchor(path) and (moved_to := self._uses[path].moved_to) is not None}
        went: dict[str, str] = {}
        for path in found:
            for moved_ns, folder in left.items():
                if self._uses[path].moved_ns > moved_ns and path.startswith(folder.source + "/"):
                    target = folder.target + path[len(folder.source):]
                    there = self._uses.get(target)
                    if there is not None and there.written and (there.last_ns == moved_ns or not there.exists):
                        went[path] = self.place(target) or target
        return went

    def _leaves_some(self, owned: Mapping[str, Ownership], found: Mapping[str, str], moved_ns: int) -> bool:
        """Whether a tracker's own file was neither moved nor gone when a move happened."""
        places = set(found.values())
        for path, ownership in owned.items():
            use = self._uses.get(path)
            if use is None or ownership is not Ownership.NOISE or path in found or path in places:
                continue
            if use.first_ns < moved_ns and (use.exists or use.last_ns > moved_ns):
                return True
        return False

    def _is_still_its_own(self, path: str, place: str, owned: Mapping[str, Ownership]) -> bool:
        """A symlink that was followed when it was copied became a copy of what it led to."""
        use = self._uses[path]
        if use.made is not Made.SYMLINK or self._uses[place].made is Made.SYMLINK:
            return True
        return os.path.normpath(os.path.join(os.path.dirname(path), use.target or "")) in owned


def _folders(path: str, other: str) -> Copy:
    """The folders that remain of two paths without the end that is the same in both."""
    while path and path.rpartition("/")[2] == other.rpartition("/")[2]:
        path, other = path.rpartition("/")[0], other.rpartition("/")[0]
    return Copy(path, other)


class References:
    """A tracker's references as they are after all that the job moved and deleted.

    Many runs name one store in their commands, or a job has many runs: what became of a path is found out once, and
    without a look at the files elsewhere.

    Args:
        owned: the tracker's files.
        carried: where those went that moved.
        is_anchor: whether a path is one of those that make a folder recognisable.
        moves: of the job.
        workspace: absolute; an id may be relative to it.
        takes_files: whether a command takes the file that makes a folder recognisable as well as the folder.
    """

    def __init__(self, owned: Iterable[str], carried: Mapping[str, str], is_anchor: Callable[[str], bool],
                 moves: Moves, workspace: str, *, takes_files: bool) -> None:
        self._owned, self._left = sorted(owned), sorted(carried)
        self._carried = carried
        self._is_anchor = is_anchor
        self._moves = moves
        self._workspace = workspace
        self._takes_files = takes_files
        # no functools.cache of its own methods: it would refer to itself, and stay as long as nothing is collected
        self._deleted: dict[str, bool] = {}
        self._places: dict[str, tuple[str | None, str] | None] = {}

    def now(self, run: TrackerRun) -> TrackerRun:
        """The reference that a tracker gave, as it is now."""
        return self._relocated(self._without_deleted(run))

    def _without_deleted(self, run: TrackerRun) -> TrackerRun:
        """The reference without its command where the job has deleted what that would show or upload."""
        if any(self._is_deleted(_path_in(word)) for word in iter_words(run.how_to_view or "")):
            return replace(run, state=TrackerRunState.PARTIAL, how_to_view=None,
                           note="The job deleted the files of this run.")
        return run

    def _relocated(self, run: TrackerRun) -> TrackerRun:
        """The reference with the places where the run is now, in its command and in an id that is a path."""
        for word in reversed(list(iter_words(run.how_to_view or ""))):
            found = self._place_of(_path_in(word))
            if found is None:
                continue
            place, one = found
            if place is None:
                return replace(run, note=run.note or f"The job moved its files; one of them is {one} now.")
            run_id, command = _with_place(run.run_id, run.how_to_view or "", word, place, self._workspace)
            run = replace(run, run_id=run_id, how_to_view=command)
        return run

    def _is_deleted(self, path: str) -> bool:
        if path not in self._deleted:
            self._deleted[path] = self._find_deleted(path)
        return self._deleted[path]

    def _find_deleted(self, path: str) -> bool:
        telling = self._telling(_at_or_below(path, self._owned))
        return bool(telling) and all(map(self._moves.is_gone, telling))

    def _place_of(self, path: str) -> tuple[str | None, str] | None:
        """The one place (None if there is none) where the files at or below a path went, and where one of them is."""
        if path not in self._places:
            self._places[path] = self._find_place(path)
        return self._places[path]

    def _find_place(self, path: str) -> tuple[str | None, str] | None:
        inside = _at_or_below(path, self._left)
        if not inside:
            return None
        telling = self._telling(inside)
        one = self._carried[telling[0]]
        if self._takes_files and len(inside) == 1 and self._is_anchor(inside[0]) and inside[0] != path:
            return one, one  # it was taken out of its folder
        places = {_root(self._carried[old], old[len(path):]) for old in telling}
        return (places.pop() if len(places) == 1 else None), one

    def _telling(self, inside: list[str]) -> list[str]:
        """Those of some files that make a folder recognisable, else all."""
        return [path for path in inside if self._is_anchor(path)] or inside


def _at_or_below(path: str, paths: Sequence[str]) -> list[str]:
    """Of paths in order, `path` itself and those below it; none where `path` is relative."""
    if not path.startswith("/"):
        return []
    first, after_slash = bisect_left(paths, path), chr(ord("/") + 1)
    below = paths[bisect_left(paths, f"{path}/"):bisect_left(paths, path + after_slash)]
    return [*(one for one in paths[first:first + 1] if one == path), *below]


def followed(run_id: str, command: str, moved: Mapping[str, str], workspace: str) -> tuple[str, str]:
    """Id and command of an earlier job's run with the places to which a later job moved its folder or file.

    Args:
        run_id: as recorded.
        command: that shows or uploads the run.
        moved: by absolute path of what was moved, where it is now.
        workspace: absolute; an id may be relative to it.
    """
    for word in reversed(list(iter_words(command))):
        path = around = _path_in(word)
        while around not in moved and around not in {"", "/"}:
            around = os.path.dirname(around)
        if path.startswith("/") and around in moved:
            run_id, command = _with_place(run_id, command, word, moved[around] + path[len(around):], workspace)
    return run_id, command


def _path_in(word: Word) -> str:
    """The path that a word of a command is, or that the address of a database names."""
    return unquote(word.text.removeprefix(_DATABASE)) if word.text.startswith(_DATABASE) else word.text


def _with_place(run_id: str, command: str, word: Word, place: str, workspace: str) -> tuple[str, str]:
    """Id and command with another place in one word of the command, and in the id where that is the same path."""
    path = _path_in(word)
    written = _DATABASE + quote(place) if word.text.startswith(_DATABASE) else place
    if run_id in {path, path.removeprefix(workspace + "/")}:
        run_id = place.removeprefix(workspace + "/")
    return run_id, command[:word.start] + quoted(written) + command[word.end:]


def _root(place: str, tail: str) -> str | None:
    """The folder above `tail` in a path that ends with it."""
    return place[:len(place) - len(tail)] if place.endswith(tail) else None
