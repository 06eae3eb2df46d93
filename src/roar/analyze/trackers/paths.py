"""An index over the paths of one job, so that looking for trackers costs the same whether there are one or twenty.

It is built in one pass: by folder, by file name and by the name's extension. Every lookup then touches only what it
returns; the few by another part of the name look at each distinct name once. The files of closed folders are entered
when a lookup first finds one of them: until then all their names are one text, which is searched as a whole.
"""

import os
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from roar.observe.folders import FolderFiles


class PathIndex:
    """Absolute paths, looked up by folder and by parts of their names.

    Args:
        paths: absolute, normalised; files and symlinks.
        extra_folders: folders that are known to have been there without holding any of the paths.
        closed: folders with all their files, none of which is among `paths`.
    """

    def __init__(self, paths: Iterable[str], extra_folders: Iterable[str] = (), closed: Iterable[FolderFiles] = ()
                 ) -> None:
        self._files: defaultdict[str, list[str]] = defaultdict(list)
        self._first_folder: dict[str, str] = {}  # most names occur once: a list for each would cost more than the rest
        self._more_folders: defaultdict[str, list[str]] = defaultdict(list)
        self._extensions: defaultdict[str, list[str]] = defaultdict(list)
        self._subfolders: defaultdict[str, list[str]] = defaultdict(list)
        self._folder_names: defaultdict[str, list[str]] = defaultdict(list)
        self._closed = _ClosedNames(tuple(closed))
        self._add((path.rpartition("/")[0], path.rpartition("/")[2]) for path in paths)
        self._link_folders((*self._files, *extra_folders, *self._closed.folders))

    def _add(self, paths: Iterable[tuple[str, str]]) -> None:
        """Enter folders and names."""
        files, first, more, extensions = self._files, self._first_folder, self._more_folders, self._extensions
        for folder, name in paths:
            files[folder].append(name)
            if name in first:
                more[name].append(folder)
                continue
            first[name] = folder
            dot = name.rfind(".")
            if dot >= 0:
                extensions[name[dot + 1:]].append(name)

    def _enter(self, folders: Iterable[FolderFiles]) -> None:
        for files in folders:
            self._add([(files.folder, name) for name in files.list_names()])

    def _enter_matching(self, before: str, text: str, after: str) -> None:
        self._enter(self._closed.take_matching(os.fsencode(before + text + after)))

    def _link_folders(self, folders: Iterable[str]) -> None:
        known: set[str] = set()
        for start in folders:
            folder = start
            while folder not in known:
                known.add(folder)
                parent, mark, name = folder.rpartition("/")
                if not mark:
                    break
                self._subfolders[parent].append(name)
                self._folder_names[name].append(folder)
                folder = parent

    def named(self, name: str) -> list[str]:
        """Paths whose last part is `name`."""
        self._enter_matching("\0", name, "\0")
        return self._named(name)

    def _named(self, name: str) -> list[str]:
        if name not in self._first_folder:
            return []
        return [f"{folder}/{name}" for folder in (self._first_folder[name], *self._more_folders.get(name, ()))]

    def with_extension(self, extension: str) -> list[str]:
        """Paths whose name ends in `.extension`."""
        self._enter_matching(".", extension, "\0")
        return [path for name in self._extensions.get(extension, ()) for path in self._named(name)]

    def starting(self, prefix: str) -> list[str]:
        """Paths whose name starts with `prefix`."""
        self._enter_matching("\0", prefix, "")
        return [path for name in self._first_folder if name.startswith(prefix) for path in self._named(name)]

    def ending(self, suffix: str) -> list[str]:
        """Paths whose name ends with `suffix`."""
        self._enter_matching("", suffix, "\0")
        return [path for name in self._first_folder if name.endswith(suffix) for path in self._named(name)]

    def folders_named(self, name: str) -> Sequence[str]:
        """Folders whose last part is `name`."""
        return self._folder_names.get(name, ())

    def files_in(self, folder: str) -> Sequence[str]:
        """Names of the files directly in a folder."""
        self._enter(self._closed.take(folder))
        return self._files.get(folder, ())

    def folders_in(self, folder: str) -> Sequence[str]:
        """Names of the folders directly in a folder."""
        return self._subfolders.get(folder, ())

    def below(self, folder: str) -> Iterator[str]:
        """All paths below a folder, at any depth."""
        pending = [folder]
        while pending:
            here = pending.pop()
            for name in self.files_in(here):
                yield f"{here}/{name}"
            pending.extend(f"{here}/{name}" for name in self._subfolders.get(here, ()))


class _ClosedNames:
    """The names of all files in folders that nobody has looked into yet."""

    def __init__(self, folders: Sequence[FolderFiles]) -> None:
        self._left = {files.folder: files for files in folders}
        self._all = folders
        self._text = b"\0" + b"".join(files.names for files in folders)  # each name stands between two NULs
        self._ends = list(accumulate((len(files.names) for files in folders), initial=1))[1:]

    @property
    def folders(self) -> tuple[str, ...]:
        """Their paths."""
        return tuple(files.folder for files in self._all)

    def take(self, folder: str) -> Iterator[FolderFiles]:
        """The folder, if it has not been taken yet."""
        if folder in self._left:
            yield self._left.pop(folder)

    def take_matching(self, pattern: bytes) -> Iterator[FolderFiles]:
        """The folders that hold a name with this text, each once."""
        at = self._text.find(pattern) if self._left else -1
        while at >= 0:
            place = bisect_right(self._ends, at + 1)
            if place == len(self._all):
                return
            yield from self.take(self._all[place].folder)
            at = self._text.find(pattern, self._ends[place] - 1)
