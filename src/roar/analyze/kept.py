"""Which of a job's paths may be artifacts: all but plumbing, the trackers' own files, and code."""

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from roar.analyze.digest import TICK_NS
from roar.analyze.fold import Made, PathUse, Uses, differ, earlier_uses, find_content, is_link, look_up, was_file
from roar.analyze.plumbing import CACHE, KEPT, Plumbing
from roar.analyze.sources import is_source
from roar.analyze.surroundings import Surroundings
from roar.analyze.symlinks import Places, walk_links
from roar.observe.code import PATCH_LIMIT
from roar.observe.folders import FolderFiles
from roar.observe.trace import Signature, is_symlink


class Kept:
    """The uses that may be artifacts, under their real paths, and counts of the others.

    A folder that was only read stays closed where its files may all be artifacts; the others are sorted file by file.
    Paths among `places` are real already, whatever leads there now.

    Attributes:
        links: the symlinks by which the job named files, and those it made, each with its text.
        made_links: those of them that it made.
        earlier: what was read at paths of these uses until other jobs replaced it, by the time when they did.
        missing: the files that the job wrote and left there, and that are gone all the same.
    """

    def __init__(self, around: Surroundings, uses: Uses, owned: Mapping[str, tuple[str, bool]], plumbing: Plumbing,
                 *, stands: Places, places: Collection[str]) -> None:
        self.left_out: Counter[str] = Counter()
        self.filtered: Counter[str] = Counter()
        self.sources: set[str] = set()
        self.links: dict[str, str] = {}
        self.made_links: set[str] = set()
        self.missing: list[str] = []
        self.payloads: list[PathUse] = []
        self.earlier: dict[int, list[PathUse]] = defaultdict(list)
        self._around = around
        self._repository = None if around.repository is None else os.path.join(around.repository, "")
        self._all = uses
        self._owned = owned
        self._places = places
        self._passed_on = {there.path for path, (_, payload) in owned.items()
                           if payload and (use := uses.opened.get(path)) is not None and _is_passed_on(use)
                           and (there := find_content(uses, use)) is not None}
        self.stands = stands
        self._walked: set[str] = set()
        self._by_path: dict[str, PathUse] = {}
        self._plumbing = plumbing
        self._edited = {use.status[:2]: use for use in uses.opened.values()
                        if use.status is not None and _has_other_names(use)}
        self._sort_all(uses.opened.values())
        for folder in list(uses.closed):
            self._sort_folder(folder)

    @property
    def uses(self) -> list[PathUse]:
        """Those that may be artifacts, one by one."""
        return list(self._by_path.values())

    def open(self, folder: str) -> None:
        """Sort the files of a closed folder one by one."""
        if folder in self._all.closed:
            self._sort_all(self._all.open(folder))

    def _sort_folder(self, folder: str) -> None:
        files = self._all.closed.get(folder)
        if files is None or (self._plumbing.category(f"{folder}/_") == KEPT and self.stands.folder(folder) == folder
                             and not self._has_edited(files)):
            return
        categories = Counter(self._plumbing.category(f"{folder}/{name}") for name in files.list_names())
        if KEPT in categories:
            self.open(folder)
        else:
            self.left_out.update(categories)
            del self._all.closed[folder]

    def _is_edited(self, use: PathUse, signature: Signature) -> bool:
        """Whether the job had written what was read by another name of the file."""
        edited = self._edited.get(signature[:2])
        if edited is None or edited.path == use.path:
            return False
        return edited.first_ns < use.first_ns if edited.signature is None else differ(edited.signature, signature)

    def _has_edited(self, files: FolderFiles) -> bool:
        return bool(self._edited) and any(signature[:2] in self._edited for _, _, signature in files.iter_files())

    def _sort_all(self, uses: Iterable[PathUse]) -> None:
        self._todo = list(uses)
        for use in self._todo:  # grows where a link leads into a closed folder
            if use.made is Made.DIRECTORY:
                if was_file(use):
                    self._sort(_before(use))
            elif use.read or use.written:
                self._sort(use)
            if use.before is not None:
                self._sort_earlier(use)

    def _sort_earlier(self, use: PathUse) -> None:
        if use.path in self._owned:
            return
        replaced_ns = use.first_ns
        for earlier in earlier_uses(use):
            path = self._real_path(earlier)
            if self._plumbing.category(path) == KEPT and not self._is_code(earlier):
                self.earlier[replaced_ns].append(replace(earlier, path=path))
            replaced_ns = earlier.first_ns

    def _sort(self, use: PathUse) -> None:
        tracker, payload = self._owned.get(use.path, ("", False))
        if tracker and not (payload and use.read and not use.written and not _is_passed_on(use)):
            self.filtered[tracker] += use.exists or use.moved_to is None
            if payload and use.written and use.exists and use.path not in self._passed_on:
                self.payloads.append(use)
            return
        category = self._plumbing.category(use.path)
        if category == KEPT and use.linked and is_link(use):
            self._note_made_link(use.path)
        if category != KEPT:
            self.left_out[category] += 1
        elif use.made is Made.SYMLINK and use.written:
            self.left_out["links"] += 1
            if use.read:
                self._sort(_before(use))
        elif not use.exists and use.written and not _is_over(use) and self._led_elsewhere(use, self._real_path(use)):
            self._resolve(use)
        elif not use.exists and not (use.read and (use.signature is not None or use.moved_to is not None)):
            self.left_out["temporary"] += 1
            if use.written and not _is_over(use):
                self.missing.append(use.path)
        else:
            self._resolve(use)

    def _resolve(self, use: PathUse) -> None:
        path = self._real_path(use)
        named = path == use.path and (use.led is None or use.led.path is None)
        if not named and self._led_elsewhere(use, path):
            path, use = use.path, replace(use, elsewhere=True, exists=False, status=None)
        elif path != use.path:
            self._note_links(use)
            category = self._plumbing.category(path)
            if category != KEPT and not (category == CACHE and self._is_named_here(use.path)):
                self.left_out[category] += 1
                return
            folder = os.path.dirname(path)
            if folder in self._all.closed:
                self._todo += self._all.open(folder)
            direct = self._all.opened.get(path)
            if direct is not None and direct.written and direct.first_ns <= use.first_ns and not use.written:
                return  # it read what the job had written there, which may be gone by now
            use = replace(use, path=path)
            look_up(use)
        if not use.written and use.signature is not None and self._is_edited(use, use.signature):
            return
        if self._is_code(use):
            self.sources.add(path)
            self.left_out["code"] += 1
            return
        if use.origin is not None and use.origin not in self._places:
            use = replace(use, origin=self.stands.of(use.origin))
        other = self._by_path.get(path)
        self._by_path[path] = use if other is None else _merged(other, use)

    def _is_named_here(self, path: str) -> bool:
        """Whether a symlink in the workspace leads to a file: then it is meant, as DVC has data in a cache."""
        return path.startswith(os.path.join(self._around.root, ""))

    def _real_path(self, use: PathUse) -> str:
        if use.path in self._places:
            return use.path
        folder, _, name = use.path.rpartition("/")
        real = self.stands.folder(folder or "/")
        if is_link(use):
            return os.path.realpath(use.path)
        return use.path if real == (folder or "/") else os.path.join(real, name)

    def _note_made_link(self, path: str) -> None:
        place = self.stands.of(path)
        self.made_links.add(place)
        self._walk(*os.path.split(place))

    def _note_links(self, use: PathUse) -> None:
        """Note the symlinks on the way to a file, those in its folder's path once for all files there."""
        folder, _, name = use.path.rpartition("/")
        if folder not in self._walked:
            self._walked.add(folder)
            self._walk("/", folder)
        if is_link(use):
            self._walk(self.stands.folder(folder or "/"), name)

    def note_ways(self, ways: Mapping[str, Iterable[str]]) -> None:
        """Note the symlinks by which folders were named that hold something of these uses."""
        for real in {os.path.dirname(path) for path in self._by_path} & ways.keys():
            for folder in ways[real]:
                self._walk("/", folder)

    def _walk(self, folder: str, path: str) -> None:
        self.links.update(walk_links(folder, path))

    def _led_elsewhere(self, use: PathUse, path: str) -> bool:
        """Whether the way led somewhere else than to `path`, as it does now, when the job followed it.

        So it did where the tracer saw that, and may have where something else made a symlink on the way since. Not
        where the very file that the job used lies at `path`. What the job itself did with links is followed through
        its events (`roar.analyze.symlinks`).
        """
        if use.led is not None and use.led.proves(use.path, path):
            return False
        if use.led is not None and use.led.disproves(path):
            return True
        there = use.signature
        if is_symlink(there):
            return False  # that itself was moved or linked
        clock_ns = self._around.clock_ns
        if not clock_ns or self.stands.changed_ns(use.path, last=is_link(use)) <= use.first_ns + clock_ns - TICK_NS:
            return False
        try:
            now = os.stat(path)
        except OSError:
            return True
        return there is None or use.written or (there.device, there.inode) != (now.st_dev, now.st_ino)

    def _is_code(self, use: PathUse) -> bool:
        """Source that a repository holds is recorded with the commit and its patch, as far as these hold it.

        One that was changed after these were taken, at the start, is an input; so is one that is gone: whether the
        commit has it nobody looks up any more. So is one that the settings add, and what is binary whatever its name.
        """
        late = use.signature is not None and use.signature.ctime_ns > self._around.started_ns
        large = use.status is not None and use.status.size > PATCH_LIMIT
        return (self._repository is not None and not (late or large) and use.exists and not use.written
                and is_source(use.path)
                and use.path.startswith(self._repository) and not self._plumbing.is_added(use.path)
                and not self._around.made(use.path)
                and all(stream.path != use.path for stream in self._around.streams) and not _is_binary(use.path))


def _has_other_names(use: PathUse) -> bool:
    """Whether a file from before the job was written in place, and has hard links."""
    if not (use.written and use.original and use.edited and use.status is not None):
        return False
    try:
        return os.lstat(use.path).st_nlink > 1
    except OSError:
        return False


def _before(use: PathUse) -> PathUse:
    """What was read as a file, in the place of which the job has put a link or a folder."""
    return replace(use, written=False, exists=False, status=None, made=Made.FILE, linked=False, deleted=True)


def _is_over(use: PathUse) -> bool:
    """Whether nothing need be left of what was written, as far as the events tell."""
    return use.made is not Made.FILE or use.deleted or use.away or use.moved_to is not None


def _is_passed_on(use: PathUse) -> bool:
    """Whether the job only took an earlier job's payload to another name: who reads it there has it from that job."""
    return use.only_moved and not use.written


def _is_binary(path: str) -> bool:
    """Whether git takes a file for binary. Those in Python are not looked at: a program may have thousands."""
    if path.endswith(".py"):
        return False
    try:
        with open(path, "rb") as file:
            return b"\0" in file.read(_LOOKED_AT)
    except OSError:
        return False


_LOOKED_AT = 8000  # bytes, as git does


def _merged(one: PathUse, other: PathUse) -> PathUse:
    """Two names of one file: what came first decides whether its content was read."""
    first, second = (one, other) if one.first_ns <= other.first_ns else (other, one)
    if first.only_moved and first.signature is None and second.written:  # and then changed by the other name
        first = replace(first, read=second.read, signature=second.signature, replaced=second.replaced)
    reads = first.read or (second.read and not first.written)
    written = first.written or second.written
    changed = first.changed or second.changed or differ(first.signature, second.signature)
    last = max((use for use in (first, second) if use.written), key=lambda use: use.last_ns, default=first)
    return replace(first, read=reads, written=written, changed=changed and not written, origin=last.origin,
                   mappable=first.mappable or second.mappable,
                   replaced=first.replaced if first.written else second.replaced,
                   signature=first.signature or (second.signature if not first.written else None),
                   last_ns=max(first.last_ns, second.last_ns))
